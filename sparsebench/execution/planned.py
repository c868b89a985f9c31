"""The runs of a plan, and which of them wait for the run of their teacher."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from sparsebench.execution.teachers import teacher_folder
from sparsebench.results.records import RunResult, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sparsebench.execution.job import Job


class PlanState(StrEnum):
    """Whether a planned run is executed."""

    CACHED = "cached"
    """Its result exists."""

    RUN = "run"
    """It is executed."""

    SKIP = "skip"
    """It cannot run, for a reason that its row states."""


@dataclass(frozen=True)
class PlannedRun:
    """One run that a suite asks for.

    Attributes:
        job: The run.
        state: Whether it is executed.
        reason: Why it is skipped, if it is.
        examples: Number of training examples, if it is not skipped.
        cached: Its result, if it is cached.
        students: The labels of the rows that are executed and learn from it.
    """

    job: Job
    state: PlanState
    reason: str | None = None
    examples: int = 0
    cached: RunResult | None = None
    students: tuple[str, ...] = ()

    @property
    def skipped(self) -> RunResult:
        """The row of a run that is skipped."""
        job = self.job
        return RunResult(
            key=job.key, suite=job.suite, spec=job.spec, status=Status.SKIPPED, reason=self.reason
        )

    @property
    def steps(self) -> int:
        """Number of optimizer steps of the run."""
        training = self.job.spec.training
        return training.budget.steps(examples=self.examples, batch_size=training.batch_size)


@dataclass(frozen=True)
class Cell:
    """One combination of a suite.

    Attributes:
        task: The task.
        model: The backbone, as the user named it.
        label: The label of the method.
        seed: The seed.
    """

    task: str
    model: str
    label: str
    seed: int


def has_model(result: RunResult) -> bool:
    """Whether the deployed model lies beside a result; a run without a score has none."""
    return result.status is not Status.OK or any(f.startswith("deployed/") for f in result.files)


def order_teachers(
    planned: Mapping[Cell, PlannedRun], *, teacher_cells: Mapping[Cell, Cell]
) -> list[PlannedRun]:
    """Return a plan in which every student that is executed has a teacher with a model.

    A teacher whose model is not kept runs again; a student whose teacher has none is skipped.

    Args:
        planned: The runs, each after its teacher.
        teacher_cells: Student -> teacher, of those that learn from another row.
    """
    runs, seen = dict(planned), set[Cell]()

    def visit(cell: Cell) -> None:
        above = teacher_cells.get(cell)
        if runs[cell].state is not PlanState.RUN or above is None or cell in seen:
            return
        seen.add(cell)
        runs[above] = _as_teacher(runs[above], cell.label)
        visit(above)
        runs[cell] = _as_student(runs[cell], runs[above])

    for cell in planned:
        visit(cell)
    return list(runs.values())


def _as_teacher(run: PlannedRun, student: str) -> PlannedRun:
    """Return a run whose deployed model is kept; it runs again if there is none."""
    job, state, cached = replace(run.job, keep_model=True), run.state, run.cached
    if cached and cached.status is Status.OK and not teacher_folder(job).is_dir():
        state, cached = PlanState.RUN, None
    students = tuple(dict.fromkeys((*run.students, student)))
    return replace(run, job=job, state=state, cached=cached, students=students)


def _as_student(run: PlannedRun, teacher: PlannedRun) -> PlannedRun:
    """Return a run that waits for its teacher, or is skipped with the reason of its teacher."""
    name, job = teacher.job.spec.method.label, run.job
    if teacher.state is PlanState.SKIP:
        return replace(
            run, state=PlanState.SKIP, reason=f"its teacher {name} is skipped: {teacher.reason}"
        )
    if teacher.cached and teacher.cached.status is not Status.OK:
        failure = f"{teacher.cached.status}: {teacher.cached.reason}"
        reason = f"its teacher {name} has no model ({failure}); --retry-failed runs both"
        return replace(run, state=PlanState.SKIP, reason=reason)
    assert job.teacher is not None  # noqa: S101 - it has a teacher
    above = replace(teacher.job, replaces=None) if teacher.cached else teacher.job
    return replace(run, job=replace(job, teacher=replace(job.teacher, run=above)))
