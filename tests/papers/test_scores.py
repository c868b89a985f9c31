"""Published scores beside results: nothing is claimed that the interval does not show."""

from __future__ import annotations

from typing import Any

import pytest
from factories import make_result

from sparsebench.papers import PublishedTable
from sparsebench.papers.scores import Agreement, comparable, compare_scores
from sparsebench.results.records import RunResult, Status
from sparsebench.schema.training import Protocol
from sparsebench.suite import MethodEntry, Suite

TABLE = PublishedTable(
    name="t",
    model="m",
    split="dev",
    settings="s",
    source="s",
    metrics={"rte": "accuracy", "mrpc": "f1"},
    rows={"lora": {"rte": 80.0, "mrpc": 90.0}},
)

SUITE = Suite.model_validate(
    {
        "name": "a-suite",
        "tasks": {"rte": {}, "mrpc": {}},
        "models": ["somebody/minilm"],
        "methods": ["lora"],
        "protocol": "last",
        "training": {"budget": "3 epochs"},
    }
)


def agreements(*scores: float, **spec: object) -> dict[str, Agreement]:
    results = [make_result(score, task="rte", seed=n, **spec) for n, score in enumerate(scores)]
    return agreements_of(results)


def agreements_of(results: list[RunResult]) -> dict[str, Agreement]:
    held = compare_scores(TABLE, results, suite=SUITE, read=lambda _: None)
    return {each.task: each.agreement for each in held}


def test_without_results_everything_waits() -> None:
    assert set(agreements().values()) == {Agreement.WAITING}


def test_the_interval_decides() -> None:
    assert agreements(0.79, 0.80, 0.82)["rte"] is Agreement.AGREES
    assert agreements(0.90, 0.901, 0.902)["rte"] is Agreement.HIGHER
    assert agreements(0.70, 0.701, 0.702)["rte"] is Agreement.LOWER
    assert agreements(0.79)["rte"] is Agreement.UNSURE


def test_other_suites_methods_and_failures_do_not_count() -> None:
    assert agreements(0.8, 0.8, method="full")["rte"] is Agreement.WAITING
    other = make_result(0.8, task="rte").model_copy(update={"suite": "another"})
    failed = make_result(status=Status.OOM, task="rte")
    assert agreements_of([other, failed])["rte"] is Agreement.WAITING


def test_other_backbones_protocols_and_budgets_do_not_count() -> None:
    changes: list[dict[str, Any]] = [
        {"model": "quick/bert"},
        {"budget": "2 steps"},
        {"protocol": Protocol.PAPER},
    ]
    others = [make_result(0.8, task="rte", seed=2, **change) for change in changes]
    assert agreements_of(others)["rte"] is Agreement.WAITING
    assert agreements_of([*others, make_result(0.8, task="rte")])["rte"] is Agreement.UNSURE


def test_runs_of_other_settings_do_not_count() -> None:
    suite = SUITE.model_copy(
        update={"methods": {"lora": MethodEntry.model_validate({"r": 8, "learning_rate": 1e-4})}}
    )
    runs = [
        make_result(0.8, task="rte", seed=seed, settings={"r": r, "learning_rate": 1e-4})
        for seed, r in ((1, 8), (2, 4))
    ]
    assert [comparable(run, suite) for run in runs] == [True, False]


def test_learning_rates_are_apart_and_seeds_are_counted_once() -> None:
    results = [
        make_result(0.8, task="rte", seed=1, settings={"learning_rate": rate})
        for rate in (1e-4, 5e-4)
    ]
    held = [
        h
        for h in compare_scores(TABLE, results, suite=SUITE, read=lambda _: None)
        if h.task == "rte"
    ]

    assert [(h.method, h.seeds) for h in held] == [
        ("lora, learning_rate=0.0001", 1),
        ("lora, learning_rate=0.0005", 1),
    ]
    assert {h.agreement for h in held} == {Agreement.UNSURE}


def test_a_metric_that_was_not_stored_waits() -> None:
    assert agreements_of([make_result(0.8, task="mrpc")])["mrpc"] is Agreement.WAITING


def test_ours_is_beside_it() -> None:
    results = [make_result(score, task="rte", seed=n) for n, score in enumerate((0.81, 0.83))]
    found = next(iter(compare_scores(TABLE, results, suite=SUITE, read=lambda _: None)))

    assert found.ours is not None
    assert found.ours.value == pytest.approx(0.02)
    assert found.seeds == 2
