"""``sparsebench export`` as a user meets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import make_result

from sparsebench.results import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Said


@pytest.fixture
def results(tmp_path: Path) -> str:
    store = Store(tmp_path / "results")
    for method in ("full", "lora"):
        store.write(make_result(0.8, method=method))
    return str(store.root)


def test_a_flat_table(cli: Callable[..., Said], results: str, tmp_path: Path) -> None:
    assert cli("export", "parquet", results, "--output", "runs.parquet").code == 0
    assert (tmp_path / "runs.parquet").read_bytes().startswith(b"PAR1")
    assert "requires --output FILE" in cli("export", "parquet", results).err


def test_an_unknown_format_says_which_are_known(cli: Callable[..., Said]) -> None:
    said = cli("export", "csv")
    assert (said.code, said.err) == (
        2,
        "error: unknown format 'csv'; known: model-card, parquet\n",
    )


def test_a_model_card_of_one_method(cli: Callable[..., Said], results: str) -> None:
    said = cli("export", "model-card", results, "--methods", "lora", "--name", "mine")

    assert said.code == 0
    assert said.out.startswith("---\nbase_model: minilm\n")
    assert "name: mine" in said.out
    assert "of one model" in cli("export", "model-card", results).err
    assert "unknown seed '9'; known: 1" in cli("export", "model-card", results, "--seeds", "9").err
