"""The notes below a leaderboard state what a row and its teacher cost to train."""

from __future__ import annotations

from factories import make_result

from sparsebench.leaderboard.build import build
from sparsebench.leaderboard.export import flat_table
from sparsebench.results.records import RunResult, TeacherRecord, TrainingRecord


def taught(seed: int, *, own: tuple[int, float], teacher: tuple[int, float] | None) -> RunResult:
    """Returns the result of a row that learns from ``full``, with steps and seconds of both."""
    steps, seconds = teacher or (None, None)
    record = TeacherRecord(name="full", key="0" * 16, steps=steps, seconds=seconds)
    training = TrainingRecord(steps=own[0], seconds=own[1], examples_per_second=1.0, loss=())
    return make_result(method="distill", seed=seed).model_copy(
        update={"teacher": record, "training": training}
    )


def notes(*results: RunResult) -> list[str]:
    (group,) = build(results).groups
    return [note for note in group.notes if "learns from" in note]


def test_the_costs_are_medians_over_the_runs_of_a_row() -> None:
    runs = [
        taught(1, own=(100, 10.0), teacher=(50, 2.0)),
        taught(2, own=(100, 30.0), teacher=(50, 4.0)),
        taught(3, own=(100, 20.0), teacher=(50, 30.0)),
    ]
    assert notes(*runs) == [
        "distill learns from full: its training 100 steps in 20 s, that of full 50 steps in 4 s"
    ]


def test_a_teacher_that_is_no_row_has_no_costs() -> None:
    assert notes(taught(1, own=(1200, 10.0), teacher=None)) == [
        "distill learns from full: its training 1,200 steps in 10 s, that of full not recorded"
    ]


def test_rows_without_a_teacher_have_no_note() -> None:
    assert notes(make_result(method="full")) == []


def test_the_flat_table_has_the_teacher() -> None:
    table = flat_table([taught(1, own=(3, 1.0), teacher=(5, 2.0)), make_result(method="full")])
    assert table["teacher.name"] == ["full", None]
    assert table["teacher.steps"] == [5, None]
    assert table["teacher.seconds"] == [2.0, None]
