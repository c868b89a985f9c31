"""Rerun stored runs, and compare the new scores with the stored ones."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sparsebench.errors import UserError
from sparsebench.execution.job import Job, TeacherModel
from sparsebench.execution.teachers import teacher_folder
from sparsebench.method_registry import configure
from sparsebench.models import model_source
from sparsebench.results.records import Status
from sparsebench.schema.measuring import CostSettings
from sparsebench.tasks import TASKS
from sparsebench.tasks.loading import load_data

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from sparsebench.results.records import RunResult
    from sparsebench.tasks import DataSource

TOLERANCE = 0.02
"""The largest difference of a rerun score, by default: other kernels round differently."""


@dataclass(frozen=True)
class RerunOutcome:
    """The outcome of a rerun.

    Attributes:
        result: The stored result.
        score: The new score; None if there is none.
        reason: Why there is none.
    """

    result: RunResult
    score: float | None
    reason: str | None = None

    @property
    def difference(self) -> float | None:
        """The new score less the stored one."""
        if self.score is None or self.result.score is None:
            return None
        return self.score - self.result.score

    def agrees(self, tolerance: float) -> bool:
        """Whether the scores are within a tolerance of each other."""
        return self.difference is not None and abs(self.difference) <= tolerance


def draw(results: Iterable[RunResult], *, count: int, seed: int) -> list[RunResult]:
    """Draw runs that have a score, the same for the same seed.

    Args:
        results: The results.
        count: The number to draw; all if there are fewer.
        seed: The seed of the draw.
    """
    scored = sorted((r for r in results if r.status is Status.OK), key=lambda r: r.key)
    generator = random.Random(seed)  # noqa: S311 - a draw that can be repeated
    return generator.sample(scored, min(count, len(scored)))


def jobs_for(
    result: RunResult, *, data: DataSource, store: Path, results: Mapping[str, RunResult]
) -> list[Job]:
    """Return the job that repeats a run, after the one that repeats the run of its teacher.

    Args:
        result: The result of the run.
        data: The source of the data.
        store: The folder of the new results.
        results: The stored results, by key, the teacher among them.

    Raises:
        UserError: The installed method or task, the data or the backbone differs from the run's, or
            the teacher's result is missing.
    """
    job, choice = job_for(result, data=data, store=store), result.spec.teacher
    if choice is None:
        return [job]
    if not choice.row:
        return [replace(job, teacher=TeacherModel(choice.name, record=result.teacher))]
    if choice.fingerprint not in results:
        raise UserError(
            f"{result.spec.title}: its teacher {choice.name} (run {choice.fingerprint}) is not "
            "among the results"
        )
    above = jobs_for(results[choice.fingerprint], data=data, store=store, results=results)
    above[-1] = replace(above[-1], keep_model=True)
    model = TeacherModel(str(teacher_folder(above[-1])), run=above[-1])
    return [*above, replace(job, teacher=model)]


def job_for(result: RunResult, *, data: DataSource, store: Path) -> Job:
    """Return the job that repeats a run, without its teacher.

    Raises:
        UserError: The installed method or task, the data or the backbone differs from the run's.
    """
    spec = result.spec
    model = result.provenance.model_origin if result.provenance else spec.model
    found = {
        "method version": (
            configure(spec.method.name, spec.method.settings).version,
            spec.method.version,
        ),
        "task version": (TASKS.get(spec.task).version, spec.task_version),
        "data": (load_data(spec.task, data).fingerprint, spec.data_fingerprint),
        "backbone": (model_source(model).fingerprint, spec.model_fingerprint),
    }
    for what, (here, there) in found.items():
        if here != there:
            raise UserError(f"{spec.title}: the {what} here is {here}, that of the run is {there}")
    costs = CostSettings(batch_size=1, length=8, target_length=1, seconds=0.0)  # not compared
    return Job(spec, suite=result.suite, model=model, data=data, costs=costs, store=store)
