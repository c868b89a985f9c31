"""What is not comparable is never put side by side, or else a note says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from factories import make_costs, make_result

from sparsebench.leaderboard.build import build
from sparsebench.results.costs import Device
from sparsebench.results.records import Retried, RunResult, Status, TrainingRecord
from sparsebench.schema.spec import HeldOut, Protocol

if TYPE_CHECKING:
    from sparsebench.leaderboard.board import Group


def group_of(*results: RunResult) -> Group:
    (group,) = build(results).groups
    return group


def test_backbones_are_never_mixed() -> None:
    table = build([make_result(model=model) for model in ("bert", "t5", "bert")])

    assert [group.name for group in table.groups] == ["bert", "t5"]


def test_two_backbones_of_one_name_are_never_mixed() -> None:
    prints = ("aaaaaaaaaa", "bbbbbbbbbb")
    table = build([make_result(model_fingerprint=fingerprint) for fingerprint in prints])

    assert [group.name for group in table.groups] == ["minilm (aaaaaaaa)", "minilm (bbbbbbbb)"]
    assert all(len(group.rows) == 1 for group in table.groups)


def test_protocols_are_never_mixed_and_paper_is_flagged() -> None:
    results = [
        make_result(protocol=protocol, held_out=None if protocol is Protocol.LAST else HeldOut())
        for protocol in Protocol
    ]

    groups = build(results).groups

    assert [group.protocol for group in groups] == ["held-out", "last", "paper"]
    assert [group.flagged for group in groups] == [False, False, True]


def test_a_task_on_other_data_is_another_column() -> None:
    group = group_of(
        make_result(0.8, method="full", data="1111111111"),
        make_result(0.9, method="lora", data="2222222222"),
    )

    assert [column.name for column in group.columns] == [
        "mrpc (data 11111111)",
        "mrpc (data 22222222)",
    ]
    assert all(row.average is None for row in group.rows)


def test_another_version_of_a_task_is_another_column() -> None:
    group = group_of(make_result(task_version="1"), make_result(task_version="2"))

    assert [column.name for column in group.columns] == ["mrpc (version 1)", "mrpc (version 2)"]


def test_one_label_with_two_settings_is_two_rows_that_a_note_tells_apart() -> None:
    group = group_of(
        make_result(0.8, settings={"r": 8, "alpha": 16}),
        make_result(0.9, settings={"r": 16, "alpha": 16}),
    )

    assert sorted(row.name for row in group.rows) == ["lora #1", "lora #2"]
    assert [row.method.settings["r"] for row in group.rows] == [16, 8]
    assert group.notes[0] == "lora has 2 rows: r is 16 for lora #1; 8 for lora #2"
    assert "alpha" not in "".join(group.notes)


def test_one_label_with_two_budgets_is_two_rows_that_a_note_tells_apart() -> None:
    group = group_of(make_result(0.8, budget="3 epochs"), make_result(0.9, budget="5 epochs"))

    assert len(group.rows) == 2
    assert "training.budget is 3 epochs for lora #1; 5 epochs for lora #2" in group.notes[0]


def test_another_version_of_a_method_is_another_row() -> None:
    group = group_of(make_result(method_version="1"), make_result(method_version="2"))

    assert "version is 1 for lora #1; 2 for lora #2" in group.notes[0]


def test_a_budget_of_its_own_for_a_task_keeps_a_method_in_one_row() -> None:
    group = group_of(
        *(
            make_result(method=method, task=task, budget=budget)
            for method in ("full", "lora")
            for task, budget in [("mrpc", "3 epochs"), ("rte", "10 epochs")]
        )
    )

    assert sorted(row.name for row in group.rows) == ["full", "lora"]
    assert all(row.average for row in group.rows)
    assert not [note for note in group.notes if "terms" in note]


def test_unequal_terms_are_told() -> None:
    group = group_of(
        *(make_result(method="full", task=task, budget="3 epochs") for task in ("mrpc", "rte")),
        *(make_result(method="lora", task=task, budget="9 epochs") for task in ("mrpc", "rte")),
    )

    told = [note for note in group.notes if "terms" in note]
    assert told == [
        "not on equal terms (mrpc, rte): training.budget is 3 epochs for full; 9 epochs for lora"
    ]


def test_costs_measured_on_different_devices_are_told() -> None:
    other = Device(type="cuda", name="An accelerator", threads=1, torch="2.13.0")
    group = group_of(
        make_result(method="full", costs=make_costs()),
        make_result(method="lora", costs=make_costs(device=other)),
    )

    assert group.notes[0] == (
        "costs under different conditions: device is A processor for full; An accelerator for lora"
    )


def test_runs_that_several_devices_trained_are_told() -> None:
    runs = []
    for method, devices in (("full", 2), ("lora", 1)):
        training = TrainingRecord(
            steps=1, seconds=1.0, examples_per_second=1.0, loss=(), devices=devices
        )
        run = make_result(method=method, costs=make_costs())
        runs.append(run.model_copy(update={"training": training}))

    assert group_of(*runs).notes[0] == (
        "costs under different conditions: training devices per run is 1 for lora; 2 for full"
    )


def test_a_cost_that_was_not_measured_is_told_with_its_reason() -> None:
    gap = make_costs(latency=None, missing={"latency": "no clock"})
    group = group_of(make_result(costs=gap), make_result(seed=2, costs=make_costs()))

    assert group.notes[0] == "latency of lora: not measured: no clock"
    assert group.rows[0].costs.latency_ratio == 1.0


def test_one_reason_for_many_rows_is_told_once() -> None:
    skips = [
        make_result(
            status=Status.SKIPPED, reason="no decoder", method=method, task="e2e", seed=seed
        )
        for method in ("full", "lora")
        for seed in (1, 2)
    ]

    assert group_of(*skips).notes == ("full, lora on e2e seeds 1, 2: n/a: no decoder",)


def test_what_failed_and_what_is_missing_is_told_run_by_run() -> None:
    group = group_of(
        make_result(method="full", task="mrpc", seed=1),
        make_result(method="full", task="rte", seed=1),
        make_result(method="full", task="mrpc", seed=2),
        make_result(status=Status.OOM, reason="2 GiB short", method="full", task="rte", seed=2),
        make_result(method="lora", task="mrpc", seed=1),
    )

    assert group.notes[:2] == (
        "lora: no result for mrpc seed 2; rte seeds 1, 2",
        "full on rte seed 2: oom: 2 GiB short",
    )


def test_a_remark_of_a_method_is_a_note_once_for_all_its_runs() -> None:
    remark = "removes 25.0% of the heads (3 of 12), not 40.0%: rounded"
    runs = [
        make_result(method="dsee", task=task, seed=seed).model_copy(update={"notes": (remark,)})
        for task in ("mrpc", "rte")
        for seed in (1, 2)
    ]

    notes = group_of(*runs, make_result(method="full")).notes

    assert [note for note in notes if "rounded" in note] == [f"dsee: {remark}"]


def test_a_run_made_in_smaller_micro_batches_is_told() -> None:
    retried = Retried(micro_batch_size=8, reason="CUDA out of memory")
    first = make_result(method="lora").model_copy(update={"retried": retried})

    (note, *others) = group_of(first, make_result(method="full")).notes

    assert note.startswith(
        "lora on mrpc seed 1: out of memory at first, then run in micro-batches of 8"
    )
    assert not any("micro-batches" in other for other in others)
