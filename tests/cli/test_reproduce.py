"""``sparsebench reproduce`` as a user meets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from factories import make_result

from sparsebench.results import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Said


def test_claims_are_told_and_not_checked(cli: Callable[..., Said]) -> None:
    said = cli("reproduce", "deft")

    assert said.code == 0
    assert "Claims, listed and not checked" in said.out
    assert "up to 50.72 %" in said.out


def test_tables_wait_for_their_suite_or_stand_beside_results(
    cli: Callable[..., Said], tmp_path: Path
) -> None:
    store = Store(tmp_path / "results")
    for seed, score in ((1, 0.80), (2, 0.79)):
        result = make_result(score, task="mnli", method="movement", seed=seed)
        store.write(result)
    said = cli("reproduce", "movement", str(store.root))

    assert "waiting" in said.out
    assert "BERT-base's weights, and a GPU for hours" in said.out


def test_an_unknown_paper_is_told(cli: Callable[..., Said]) -> None:
    assert "unknown paper 'dse'; did you mean 'dsee'?" in cli("reproduce", "dse").err
