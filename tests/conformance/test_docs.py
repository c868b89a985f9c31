"""What the page for authors of methods shows is so."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from sparsebench import Family, Method, sparsity
from sparsebench.conformance import CHECKS, CheckOutcome, MethodUnderTest, check_method

PAGE = Path(__file__).parents[2] / "docs" / "write-a-method.md"


@pytest.fixture(scope="module")
def example() -> str:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(block)


def test_the_example_is_as_short_as_it_says(example: str) -> None:
    assert len([line for line in example.splitlines() if line.strip()]) <= 30


def test_the_example_passes_every_check(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "example_of_the_page.py").write_text(example, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    method = importlib.import_module("example_of_the_page").MyMethod()
    assert isinstance(method, Method)
    results = list(check_method(MethodUnderTest(method, families=[Family.GPT2])))
    assert [result for result in results if result.outcome is CheckOutcome.FAIL] == []
    claimed = {f.check.name for f in results if f.outcome is CheckOutcome.PASS}
    assert {"reaches_its_sparsity", "masked_weights_stay_zero"} <= claimed


def test_every_check_is_described() -> None:
    _, _, below = PAGE.read_text(encoding="utf-8").partition("\n## Check it\n")
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", below, re.MULTILINE)
    assert rows == [(check.name, check.description) for check in CHECKS]


@pytest.mark.parametrize("name", sparsity.__all__)
def test_every_public_part_of_sparse_methods_is_told(name: str) -> None:
    _, _, below = PAGE.read_text(encoding="utf-8").partition("\nFrom `sparsebench.sparsity`:\n")
    assert re.search(rf"`{name}\b", below.partition("\n## ")[0])
