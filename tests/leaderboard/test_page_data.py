"""The data that the page hands to its script."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from factories import make_costs, make_result

from sparsebench.leaderboard.build import build
from sparsebench.leaderboard.page import data
from sparsebench.leaderboard.page.data import embedded, group_data
from sparsebench.leaderboard.papers import PAPERS
from sparsebench.method_registry import METHODS
from sparsebench.results.records import LossPoint, RunResult, TrainingRecord

if TYPE_CHECKING:
    from sparsebench.leaderboard.board import Group


def group_of(*results: RunResult) -> Group:
    (group,) = build(results).groups
    return group


def trained(*losses: float, **spec: object) -> RunResult:
    points = tuple(
        LossPoint(step=step, loss=loss, learning_rate=0.1) for step, loss in enumerate(losses, 1)
    )
    training = TrainingRecord(steps=len(losses), seconds=1.0, examples_per_second=1.0, loss=points)
    return make_result(0.8, **spec).model_copy(update={"training": training})


@pytest.mark.parametrize("name", sorted(PAPERS.keys() & set(METHODS.entries)))
def test_each_paper_is_the_one_that_its_method_names(name: str) -> None:
    assert METHODS.get(name).paper == PAPERS[name]


def test_no_text_becomes_markup() -> None:
    hostile = "</script><!--&\u2028"
    text = embedded(group_of(make_result(0.8, method=hostile, task=hostile)))

    assert not set("<>&\u2028") & set(text)
    assert json.loads(text)["rows"][0]["name"] == "</script><!--&"


def test_values_have_their_intervals() -> None:
    cheap, dear = make_costs(training_bytes=100), make_costs(training_bytes=300)
    group = group_of(
        make_result(0.7, seed=1, costs=cheap),
        make_result(0.8, seed=2, costs=dear),
        make_result(0.8, seed=3, costs=cheap),
    )
    values = group_data(group)["rows"][0]["values"]
    interval = group.rows[0].average.confidence_interval

    assert values["average"] == pytest.approx(
        (76.6667, 76.6667 - 100 * interval.half_width, 76.6667 + 100 * interval.half_width),
        abs=1e-3,
    )
    assert values["train-memory"] == (100, 100, 300)  # the median, and the range over the seeds
    assert values["trainable"] == (5_000,)
    assert "act-density" not in values


def test_a_cost_that_differs_between_tasks_only_is_certain() -> None:
    group = group_of(
        *(
            make_result(0.7, task=task, seed=seed, costs=make_costs(training_bytes=size))
            for task, size in (("mrpc", 100), ("rte", 300))
            for seed in (1, 2)
        )
    )

    assert group_data(group)["rows"][0]["values"]["train-memory"] == (100,)


def test_shares_refer_to_the_backbone_or_to_full_fine_tuning() -> None:
    lora = make_result(0.7, costs=make_costs(gmacs=3, trainable=5_000))
    full = make_result(0.8, method="full", costs=make_costs(gmacs=2, trainable=1_000_000))

    assert group_data(group_of(lora, full))["wholes"]["macs"] == 2e9
    assert group_data(group_of(lora))["wholes"]["macs"] == 3e9
    assert group_data(group_of(lora))["wholes"]["trainable"] == 1_000_000


def test_significantly_better_rows_are_named_by_their_place() -> None:
    scores = {"good": (0.900, 0.902, 0.901), "bad": (0.500, 0.501, 0.503)}
    results = [
        make_result(score, method=name, seed=seed)
        for name, own in scores.items()
        for seed, score in enumerate(own, 1)
    ]
    found = group_data(group_of(*results))

    assert found["ranked"]
    assert [row["worse"] for row in found["rows"]] == [[], [0]]


def test_loss_curves_are_thinned_out_and_left_out_of_large_groups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group = group_of(trained(*range(100), seed=1), trained(1.0, 3.0, seed=2))
    curves = group_data(group)["rows"][0]["details"]["curves"]["mrpc"]

    assert curves["2"] == [[1, 1.0], [2, 3.0]]
    assert curves["1"][0] == [3, 1.0]
    assert curves["1"][-1] == [100, 99.0]
    assert len(curves["1"]) <= data.POINTS
    monkeypatch.setattr(data, "MOST_RUNS", 1)
    assert group_data(group)["rows"][0]["details"]["curves"] == {}


def test_details_name_no_folder_and_no_command() -> None:
    details = group_data(group_of(make_result(0.8, settings={"rank": 8})))["rows"][0]["details"]

    assert details["settings"] == {"rank": "8"}
    assert details["training"]["budget"] == "3 epochs"
    assert details["environment"].keys() <= {"machine", "system", "date", "commit", "versions"}
    assert details["environment"]["date"] == "2026-01-01"
