"""Averages are right where all runs are there, and void where one is not."""

from __future__ import annotations

import math

import pytest
from factories import make_result

from sparsebench.leaderboard.board import Failure, Row
from sparsebench.leaderboard.build import build
from sparsebench.results.records import RunResult, Status

FULL = [
    make_result(score, method="full", task=task, seed=seed)
    for task, seed, score in [
        ("mrpc", 1, 0.80),
        ("mrpc", 2, 0.84),
        ("rte", 1, 0.60),
        ("rte", 2, 0.70),
    ]
]


def rows(results: list[RunResult]) -> dict[str, Row]:
    (group,) = build(results).groups
    return {row.name: row for row in group.rows}


def test_mean_and_spread_by_hand() -> None:
    row = rows(FULL)["full"]

    assert row.average is not None
    # Seed 1: (0.80 + 0.60) / 2 = 0.70; seed 2: (0.84 + 0.70) / 2 = 0.77
    assert row.average.value == pytest.approx(0.735)
    # Both lie 0.035 from their mean: sqrt(2 * 0.035 ** 2 / (2 - 1))
    assert row.average.spread == pytest.approx(0.035 * math.sqrt(2))
    assert row.average.seeds == 2
    assert [cell.mean for cell in row.cells] == [pytest.approx(0.82), pytest.approx(0.65)]
    assert row.cells[0].spread == pytest.approx(0.02 * math.sqrt(2))
    assert row.status == "ok"


def test_one_seed_has_no_spread() -> None:
    row = rows([make_result(0.8)])["lora"]

    assert row.average is not None
    assert row.average.spread is None
    assert row.cells[0].spread is None


@pytest.mark.parametrize("status", [s for s in Status if s not in {Status.OK, Status.SKIPPED}])
def test_a_failed_run_voids_its_cell_and_its_average(status: Status) -> None:
    failed = make_result(status=status, reason="why", method="lora", task="mrpc", seed=2)
    others = [
        make_result(0.9, method="lora", task=task, seed=seed)
        for task, seed in [("mrpc", 1), ("rte", 1), ("rte", 2)]
    ]

    row = rows([*FULL, *others, failed])["lora"]

    assert row.average is None
    assert row.cells[0].mean is None
    assert row.cells[0].failures == (Failure(2, status.value, "why"),)
    assert row.cells[0].scores == {1: 0.9}
    assert row.cells[1].mean == pytest.approx(0.9)
    assert row.status == f"1 {status}"


def test_a_run_that_others_have_and_a_method_has_not_is_missing() -> None:
    row = rows([*FULL, make_result(0.9, method="lora", task="mrpc", seed=1)])["lora"]

    assert row.average is None
    assert [[failure.seed for failure in cell.failures] for cell in row.cells] == [[2], [1, 2]]
    assert {failure.kind for cell in row.cells for failure in cell.failures} == {"missing"}
    assert row.status == "3 missing"


def test_a_seed_of_one_task_is_expected_of_every_task() -> None:
    row = rows([*FULL, make_result(0.9, method="full", task="rte", seed=3)])["full"]

    assert row.average is None
    assert [failure.seed for failure in row.cells[0].failures] == [3]


def test_a_skipped_pair_voids_the_average() -> None:
    skipped = make_result(status=Status.SKIPPED, reason="no such head", method="full", task="e2e")

    row = rows([make_result(0.8, method="full", task="mrpc"), skipped])["full"]

    assert row.average is None
    assert row.cells[0].failures == (Failure(1, "n/a", "no such head"),)
    assert row.status == "1 n/a"


@pytest.mark.parametrize("score", [None, float("nan"), float("inf")])
def test_an_ok_run_without_a_finite_score_has_none(score: float | None) -> None:
    result = make_result(0.8).model_copy(update={"score": score})

    row = rows([result])["lora"]

    assert row.average is None
    assert row.status == "1 no score"


def test_the_best_average_comes_first_and_void_ones_last() -> None:
    scores = {"a": 0.5, "b": 0.9, "c": 0.7, "d": 0.7}
    results = [make_result(score, method=name) for name, score in scores.items()]
    results += [make_result(status=Status.OOM, method="A-first-by-name")]

    assert list(rows(results)) == ["b", "c", "d", "a", "A-first-by-name"]


def test_of_two_copies_of_one_run_the_newest_counts() -> None:
    old = make_result(0.1, created="2026-01-01T00:00:00+00:00")
    new = make_result(0.2, created="2026-01-02T00:00:00+00:00")

    for results in ([old, new], [new, old]):
        (group,) = build(results).groups
        assert group.rows[0].cells[0].mean == pytest.approx(0.2)
        assert group.notes[0].startswith("2 results of mrpc · minilm · lora · seed 1")


def test_a_run_that_was_skipped_for_want_of_data_gives_way_to_the_run_that_had_it() -> None:
    skipped = make_result(status=Status.SKIPPED, reason="no data", data="absent")

    (group,) = build([skipped, make_result(0.8, data="d1")]).groups

    assert [column.name for column in group.columns] == ["mrpc"]
    assert group.rows[0].status == "ok"
