"""Runs as jobs of Slurm, through submitit: an array of jobs, each with a few runs.

The results folder must be on a disk that all nodes share; the state of a run is read there.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from sparsebench.errors import UserError
from sparsebench.execution.events import Finished, Started, Stopped
from sparsebench.execution.executors.base import Executor
from sparsebench.execution.executors.local import SECONDS_BETWEEN_LOOKS, one_at_a_time
from sparsebench.execution.executors.process import LAST_SECONDS, last_lines
from sparsebench.execution.executors.remote import check_version
from sparsebench.execution.executors.resources import check_batches, check_gpus
from sparsebench.execution.executors.run_lock import lock_run
from sparsebench.execution.executors.teacher_order import TeacherOrder, finished_since, skip
from sparsebench.execution.executors.worker import STOPPED
from sparsebench.execution.job import failed
from sparsebench.execution.teachers import with_teacher
from sparsebench.results.records import RunResult, Status
from sparsebench.results.store import Store
from sparsebench.schema.base import FrozenModel
from sparsebench.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsebench.execution.events import Report
    from sparsebench.execution.job import Job

FOLDER = ".slurm"
"""The folder in the results folder where submitit keeps its jobs and their logs."""

LOOKS = 6
"""How often to look for a result after its job has ended: a shared disk may show it late."""

_STATUSES = {"TIMEOUT": Status.TIMEOUT, "OUT_OF_MEMORY": Status.OOM}
_STOPS = ("CANCELLED", "PREEMPTED", "REVOKED", "NODE_FAIL", "BOOT_FAIL")
"""States of jobs that somebody stopped or whose node was lost: their runs resume later."""


class SlurmOptions(FrozenModel):
    """The options of the executor ``slurm``."""

    cluster: Literal["slurm", "local"] = "slurm"
    """``local`` starts the jobs on this machine, without Slurm, to try things out."""

    partition: str | None = None
    """The partition; null for Slurm's default."""

    account: str | None = None
    """The account that is charged; null for Slurm's default."""

    hours: float = Field(default=24, gt=0)
    """The time limit of a job, which may have several runs."""

    cpus: int = Field(default=1, ge=1)
    """Cores of a job."""

    gpus: int = Field(default=0, ge=0)
    """GPUs of a job; several train each of its runs together."""

    memory: float | None = Field(default=None, gt=0)
    """GB of memory of a job; null for Slurm's default."""

    runs: int | None = Field(default=None, ge=1)
    """Runs of a job, one after the other; null for one, or with ``cluster=local`` for so many that
    there are no more jobs than workers."""


@dataclass(frozen=True)
class Batch:
    """The work of one job, called on its node: a few runs, one after the other.

    Attributes:
        jobs: The runs.
        device: ``auto`` or ``cpu``.
        version: The version of the package that planned them.
        gpus: GPUs that train a run together; 1 or 0 to follow the device.
    """

    jobs: tuple[Job, ...]
    device: str
    version: str
    gpus: int = 0

    def __call__(self) -> None:
        """Run the jobs that have no result and that no other process has."""
        check_version(self.version)
        one_at_a_time(device=self.device, gpus=self.gpus).run(self.jobs, lambda _: None)

    def checkpoint(self) -> Any:
        """Return what submitit submits after the job was preempted or ran out of time."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@dataclass
class _Submitted:
    """A job of Slurm and those of its runs whose end is not yet reported."""

    handle: Any
    open: list[Job]
    started: set[str] = field(default_factory=set)
    looks: int = 0


class SlurmExecutor(Executor):
    """Runs as a job array of Slurm, ``workers`` jobs at a time."""

    Options: ClassVar[type[FrozenModel]] = SlurmOptions
    options: SlurmOptions

    def run(self, jobs: Sequence[Job], report: Report) -> None:
        """Submit every run and wait until the results appear."""
        submitit = _submitit()
        if self.options.cluster == "slurm" and not shutil.which("sbatch"):
            raise UserError("the executor 'slurm' requires sbatch, which is not on this machine")
        self._check_devices(jobs)
        if not jobs:
            return
        order, waiting, submitted = TeacherOrder(jobs, report), list(jobs), list[_Submitted]()
        try:
            while waiting or submitted:
                submitted = [each for each in submitted if _is_open(each, order.report)]
                lanes = None if self.workers is None else self.workers - len(submitted)
                if lanes is None or lanes > 0:
                    ready = _take_ready(waiting, order)
                    submitted += self._submit(submitit, ready, lanes) if ready else []
                time.sleep(SECONDS_BETWEEN_LOOKS)
        except BaseException:
            _cancel(submitted)
            raise

    def _check_devices(self, jobs: Sequence[Job]) -> None:
        """Refuse what each job would refuse: missing GPUs, batches that cannot be divided."""
        gpus = self.options.gpus
        if gpus > 1 and (self.options.cluster == "local" or self.device == "cpu"):
            check_gpus(gpus, self.device)
        check_batches(jobs, max(1, gpus))

    def _submit(self, submitit: Any, jobs: Sequence[Job], lanes: int | None) -> list[_Submitted]:
        batches = self._batches(jobs, lanes)
        try:
            executor = submitit.AutoExecutor(
                folder=jobs[0].store / FOLDER, cluster=self.options.cluster
            )
        except OSError as error:
            raise UserError(f"{jobs[0].store}: cannot be written ({error.strerror})") from None
        executor.update_parameters(**self._parameters(lanes))
        try:
            with executor.batch():
                handles = [executor.submit(batch) for batch in batches]
        except submitit.core.utils.FailedJobError as error:
            reason = " ".join(str(error).split())
            raise UserError(f"Slurm refused the jobs: {reason[:500]}") from None
        pairs = zip(handles, batches, strict=True)
        return [_Submitted(handle, list(batch.jobs)) for handle, batch in pairs]

    def _batches(self, jobs: Sequence[Job], lanes: int | None = None) -> list[Batch]:
        """Divide the runs among jobs; neighbours, which take equally long, go to different ones."""
        local = self.options.cluster == "local"
        size = self.options.runs or (-(-len(jobs) // (lanes or 1)) if local else 1)
        count = -(-len(jobs) // size)
        parts = [tuple(jobs[first::count]) for first in range(count)]
        return [
            Batch(part, device=self.device, version=__version__, gpus=self.options.gpus)
            for part in parts
        ]

    def _parameters(self, lanes: int | None) -> dict[str, Any]:
        options = self.options
        asked: dict[str, Any] = {
            "name": "sparsebench",
            "timeout_min": max(1, round(options.hours * 60)),
            "cpus_per_task": options.cpus,
            "gpus_per_node": options.gpus or None,
            "mem_gb": options.memory,
            "slurm_partition": options.partition,
            "slurm_account": options.account,
            "slurm_array_parallelism": lanes,
        }
        return {key: value for key, value in asked.items() if value is not None}


def _take_ready(waiting: list[Job], order: TeacherOrder) -> list[Job]:
    """Take the runs that need not wait for a teacher; those whose teacher failed are skipped."""
    ready = []
    for job in list(waiting):
        if order.holds(job):
            continue
        waiting.remove(job)
        if order.ends(job):
            continue
        found = with_teacher(job)
        if isinstance(found, RunResult):
            order.report(skip(job, found))
        else:
            ready.append(found)
    return ready


def _is_open(submitted: _Submitted, report: Report) -> bool:
    """Report the progress of the runs of a job; return whether any of them is still open."""
    over = submitted.handle.done()  # before looking, so that a result is never missed
    for job in list(submitted.open):
        work = Store(job.store).work_folder(job.spec)
        if job.key not in submitted.started and (work / "log.txt").exists():
            submitted.started.add(job.key)
            report(Started(job.key))
        if done := finished_since(job):
            submitted.open.remove(job)
            report(done)
    submitted.looks += over
    if over and submitted.looks >= LOOKS:
        for job in list(submitted.open):
            if ended := _record_loss(job, submitted.handle):
                submitted.open.remove(job)
                report(ended)
    return bool(submitted.open)


def _record_loss(job: Job, handle: Any) -> Finished | Stopped | None:
    """Write the row of a run whose job has ended without its result.

    Returns:
        How the run ended; ``Stopped``, without a row, if it was asked to stop or its node was lost;
        None if another process has the run.
    """
    held = lock_run(Store(job.store).work_folder(job.spec))
    if held is None:
        return None
    try:
        if done := finished_since(job):
            return done
        state = str(handle.state).partition(" ")[0]
        if state in _STOPS or (Store(job.store).work_folder(job.spec) / STOPPED).exists():
            return Stopped(job.key)
        reason = f"the job {handle.job_id} ended as {state} and left no result"
        status = _STATUSES.get(state, Status.ERROR)
        log = last_lines(Path(handle.paths.stderr))
        Store(job.store).write(failed(job, status, reason, log or None))
        return Finished(job.key, status.value, None, reason, 0.0)
    finally:
        held.release()


def _cancel(submitted: Sequence[_Submitted]) -> None:
    """Cancel the jobs, and wait a little for running ones to end."""
    for each in submitted:
        each.handle.cancel(check=False)
    until = time.monotonic() + 2 * LAST_SECONDS
    while time.monotonic() < until and not all(each.handle.done() for each in submitted):
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _submitit() -> Any:
    try:
        import submitit
    except ImportError:
        raise UserError(
            "the executor 'slurm' requires the package submitit: pip install 'sparsebench[slurm]'"
        ) from None
    return submitit
