"""``sparsebench compare`` as a user meets it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from factories import make_answered

from sparsebench.results import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Said


@pytest.fixture
def results(tmp_path: Path) -> str:
    store, right = Store(tmp_path / "results"), [0, 1] * 50
    for method, wrong in (("full", 2), ("lora", 50)):
        for seed in (1, 2):
            answers = [1 - r if at < wrong + seed else r for at, r in enumerate(right)]
            made, rows = make_answered(answers, right, task="rte", method=method, seed=seed)
            store.write(made, predictions=rows)
    return str(store.root)


def test_it_says_which_is_better_and_by_what(cli: Callable[..., Said], results: str) -> None:
    said = cli("compare", "full", "lora", results)

    assert said.code == 0
    assert "minilm · protocol last: full less lora" in said.out
    assert "+48.0" in said.out
    assert "McNemar, p < 0.001" in said.out
    assert "→ full is better than lora" in said.out
    assert "→ full is better than lora" in cli("compare", "lora", "full", results).out


def test_json_holds_raw_numbers(cli: Callable[..., Said], results: str) -> None:
    (found,) = json.loads(cli("compare", "full", "lora", results, "--format", "json").out)

    assert found["overall"]["value"] == pytest.approx(0.48)
    assert found["tasks"][0]["tests"][0]["test"]["name"] == "McNemar"


def test_an_unknown_method_is_told(cli: Callable[..., Said], results: str) -> None:
    said = cli("compare", "full", "lor", results)

    assert (said.code, said.err.strip()) == (
        2,
        "error: unknown method 'lor'; did you mean 'lora'?",
    )


@pytest.mark.parametrize(("seeds", "told"), [((1,), "one seed"), ((1, 2), "the same score")])
def test_two_models_that_answer_alike(
    cli: Callable[..., Said], tmp_path: Path, seeds: tuple[int, ...], told: str
) -> None:
    store, right = Store(tmp_path / "results"), [0, 1] * 20
    for method in ("full", "lora"):
        for seed in seeds:
            made, rows = make_answered([0] * 40, right, task="rte", method=method, seed=seed)
            store.write(made, predictions=rows)

    said = cli("compare", "full", "lora", str(store.root))

    assert f"→ {told}" in said.out
    assert "nothing is known" not in said.out
