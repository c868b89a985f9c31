"""A job: one run, with everything that a process on any machine needs to run it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sparsebench.results.records import Retried, RunResult, Status, TeacherRecord
from sparsebench.results.store import run_key
from sparsebench.schema.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sparsebench.schema.measuring import CostSettings
    from sparsebench.schema.spec import RunSpec, TuningRecord
    from sparsebench.schema.training import Training
    from sparsebench.tasks.base import DataSource


_LONGEST_TRACE = 20_000


@dataclass(frozen=True)
class TeacherModel:
    """The trained model that a run learns from.

    Attributes:
        source: The folder of a deployed model, or a source as ``teacher_source`` reads it.
        run: The run that trains it, while it is not known how that ended; None for a model that is
            no row, and once its record is known.
        record: What its training cost; None as long as ``run`` is set.
    """

    source: str
    run: Job | None = None
    record: TeacherRecord | None = None


@dataclass(frozen=True)
class Job:
    """One run to execute.

    Attributes:
        spec: Everything that decides its scores.
        suite: The suite that asks for it.
        model: The source of the backbone, as the user named it.
        data: The source of the data.
        costs: The shapes and the time that costs are measured with.
        store: The results folder; absolute, since a method may change the directory.
        keep_model: Whether to keep the deployed model beside the result.
        command: The command line, for the record.
        tuned: The record of the search for the method's settings; None without a search.
        limits: Limits of time and memory.
        replaces: The stamp of the result that it replaces; None if there is none.
        retried: How a second attempt differs from the first, which ran out of memory.
        teacher: The model that it learns from; None without one.
        notes: Remarks for its result.
    """

    spec: RunSpec
    suite: str
    model: str
    data: DataSource
    costs: CostSettings
    store: Path
    keep_model: bool = False
    command: str = ""
    tuned: TuningRecord | None = None
    limits: Limits = field(default_factory=Limits)
    replaces: str | None = None
    retried: Retried | None = None
    teacher: TeacherModel | None = None
    notes: tuple[str, ...] = ()

    @cached_property
    def key(self) -> str:
        """The key of the run."""
        return run_key(self.spec)

    @property
    def training(self) -> Training:
        """The training settings: those of the spec, in smaller micro-batches in a retry."""
        settings = self.spec.training
        if self.retried is None:
            return settings
        return settings.model_copy(update={"micro_batch_size": self.retried.micro_batch_size})

    def smaller(self, reason: str, *, devices: int = 1) -> Job | None:
        """Return the second attempt, in micro-batches of half the size; None if there is none.

        Args:
            reason: How the first attempt ended.
            devices: Number of devices that share a batch.
        """
        size = self.spec.training.micro_batch(devices)
        if self.retried or size % 2:
            return None
        return replace(self, retried=Retried(micro_batch_size=size // 2, reason=reason))


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job.

    Attributes:
        result: The record.
        predictions: One row per example, with ``split``, ``id``, ``prediction``, ``reference``.
        keep: Name -> a file or folder to move beside the result.
    """

    result: RunResult
    predictions: Sequence[dict[str, Any]] = ()
    keep: dict[str, Path] = field(default_factory=dict)


def failed(job: Job, status: Status, reason: str, trace: str | None = None) -> RunResult:
    """Return the row of a run without a score.

    Args:
        job: The run.
        status: How it ended.
        reason: Why; reduced to one line.
        trace: The last lines of its traceback or of its log; the last 20,000 characters are kept.
    """
    return RunResult(
        key=job.key,
        suite=job.suite,
        spec=job.spec,
        status=status,
        reason=(" ".join(reason.split()) or status.value)[:500],
        traceback=trace and trace[-_LONGEST_TRACE:],
        retried=job.retried,
    )
