"""The teacher of a run that is another row: its folder, its record, and whether it is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sparsebench.execution.job import failed
from sparsebench.results.records import Status, TeacherRecord
from sparsebench.results.store import Store
from sparsebench.suite.teachers import DEPLOYED

if TYPE_CHECKING:
    from pathlib import Path

    from sparsebench.execution.job import Job
    from sparsebench.results.records import RunResult


def teacher_folder(job: Job) -> Path:
    """Return the folder of the deployed model that a run keeps for its students."""
    return Store(job.store).folder(job.spec) / DEPLOYED


def teacher_record(choice: str, result: RunResult) -> TeacherRecord:
    """Return the record of a teacher that is a row, its own teacher included.

    Args:
        choice: Its label.
        result: The result of its run.
    """
    training, before = result.training, result.teacher
    steps = training.steps if training else None
    seconds = training.seconds if training else None
    if steps is not None and seconds is not None and before and before.steps and before.seconds:
        steps, seconds = steps + before.steps, seconds + before.seconds
    return TeacherRecord(
        name=choice, key=result.key, score=result.score, steps=steps, seconds=seconds
    )


def with_teacher(job: Job) -> Job | RunResult:
    """Return a job whose teacher is trained, with the record of the teacher.

    Returns:
        The job; or its row, with the reason, if the teacher has no model.
    """
    teacher, choice = job.teacher, job.spec.teacher
    if teacher is None or teacher.run is None or choice is None:
        return job
    result = Store(teacher.run.store).find(teacher.run.spec)
    if result is None:
        return _without_teacher(job, "has no result")
    if result.status is not Status.OK:
        return _without_teacher(job, f"has no model ({result.status}: {result.reason})")
    if not teacher_folder(teacher.run).is_dir():
        return _without_teacher(
            job, "was run by a command that did not keep its model; the same command runs it again"
        )
    record = teacher_record(choice.name, result)
    return replace(job, teacher=replace(teacher, run=None, record=record))


def _without_teacher(job: Job, reason: str) -> RunResult:
    name = job.spec.teacher.name if job.spec.teacher else ""
    return failed(job, Status.SKIPPED, f"its teacher {name} {reason}")
