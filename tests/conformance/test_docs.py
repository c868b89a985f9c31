"""The page for authors of methods: its example and its commands work, its tables are complete."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
from plugins import install_in_place, python

from sparsebench import Family, sparsity
from sparsebench.cli.new_method import write_package
from sparsebench.conformance import CHECKS, CheckOutcome, MethodUnderTest, check_method

PAGE = Path(__file__).parents[2] / "docs" / "add-a-method.md"


EXAMPLES: list[str] = re.findall(
    r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
)


@pytest.fixture(scope="module")
def example() -> str:
    return EXAMPLES[0]


@pytest.mark.parametrize(("example", "lines"), zip(EXAMPLES, (30, 40, 40, 40), strict=True))
def test_the_examples_are_short(example: str, lines: int) -> None:
    assert len([line for line in example.splitlines() if line.strip()]) <= lines


@pytest.mark.parametrize(("number", "name"), [(1, "FisherMask"), (2, "Pupil"), (3, "FullWithLion")])
def test_the_other_examples_pass_every_check(
    number: int, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"page_{number}.py").write_text(EXAMPLES[number], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    method = getattr(import_module(f"page_{number}"), name)
    tested = MethodUnderTest(method(), families=(Family.GPT2,))
    failed = [result for result in check_method(tested) if result.outcome == CheckOutcome.FAIL]
    assert failed == []


@pytest.fixture(scope="module")
def package(example: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of ``new-method``, with the example of the page in it, installed."""
    folder = tmp_path_factory.mktemp("page") / "my-method"
    write_package("my-method", folder)
    module = folder / "src" / "sparsebench_my_method" / "__init__.py"
    module.write_text(example, encoding="utf-8")
    install_in_place(folder)
    return folder


def test_the_example_passes_every_check_as_the_page_says(package: Path) -> None:
    for command in commands("## 3. Check it"):
        done = python(package, "-m", *command, "--families", "gpt2")  # one of four is enough
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert "failed" not in done.stdout
        if command[2:] == ["my-method"]:
            assert re.search(r"^reaches_its_sparsity +pass", done.stdout, re.MULTILINE)


def test_the_commands_that_run_the_example_are_right(package: Path) -> None:
    show, *runs = commands("## 4. Run it")
    done = python(package, "-m", *show)
    assert "Share of the weights of the blocks" in done.stdout
    for _, _, *arguments in runs:
        done = python(package, "-m", "sparsebench", "plan", *arguments)
        assert done.returncode == 0, done.stderr
        assert "my-method" in done.stdout


def test_the_example_runs(package: Path) -> None:
    done = python(
        package,
        *("-m", "sparsebench", "run", "quick", "--methods", "my-method", "--tasks", "toy-cola"),
        *("--models", "quick/bert", "--budget", "2 steps", "--output", "runs"),
    )
    assert done.returncode == 0, done.stderr
    assert "my-method" in (package / "runs" / "leaderboard.md").read_text(encoding="utf-8")


def commands(heading: str) -> list[list[str]]:
    """The words of each command of the first block of shell commands below a heading."""
    _, _, below = PAGE.read_text(encoding="utf-8").partition(f"\n{heading}\n")
    block = below.partition("```sh\n")[2].partition("```")[0]
    return [shlex.split(line, comments=True) for line in block.splitlines()]


def test_every_check_is_described() -> None:
    _, _, below = PAGE.read_text(encoding="utf-8").partition("\n## All checks\n")
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", below, re.MULTILINE)
    assert rows == [(check.name, check.description) for check in CHECKS]


@pytest.mark.parametrize("name", sparsity.__all__)
def test_every_public_part_of_sparse_methods_is_listed(name: str) -> None:
    _, _, below = PAGE.read_text(encoding="utf-8").partition("\nFrom `sparsebench.sparsity`:\n")
    assert re.search(rf"`{name}\b", below.partition("\n## ")[0])
