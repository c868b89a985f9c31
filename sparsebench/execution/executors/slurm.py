"""Runs as jobs of Slurm, through submitit: an array whose elements make a few runs each.

The results folder must be on a disk that all nodes share; what has become of a run is seen there.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from sparsebench.errors import UserError
from sparsebench.execution.events import Finished, Started
from sparsebench.execution.executors.base import Executor
from sparsebench.execution.executors.local import SECONDS_BETWEEN_LOOKS, one_at_a_time
from sparsebench.execution.executors.process import LAST_SECONDS
from sparsebench.execution.executors.remote import check_version
from sparsebench.execution.executors.resources import check_batches, check_gpus
from sparsebench.execution.executors.run_lock import finished_since, lock_run
from sparsebench.execution.job import failed
from sparsebench.results.records import Status
from sparsebench.results.store import Store
from sparsebench.schema.base import FrozenModel
from sparsebench.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsebench.execution.events import Report
    from sparsebench.execution.job import Job

FOLDER = ".slurm"
"""Where submitit keeps what it submits and the logs of jobs, in the results folder."""

LOOKS = 6
"""How often to look for a result after its job has ended: a shared disk may be slow to show it."""

_STATUSES = {"TIMEOUT": Status.TIMEOUT, "OUT_OF_MEMORY": Status.OOM}


class SlurmOptions(FrozenModel):
    """What the executor ``slurm`` takes."""

    cluster: Literal["slurm", "local"] = "slurm"
    """``local`` makes the jobs on this machine, without Slurm, to try things out."""

    partition: str | None = None
    """The partition; null for Slurm's default."""

    account: str | None = None
    """The account that is charged; null for Slurm's default."""

    hours: float = Field(default=24, gt=0)
    """The time limit of a job, which may make several runs."""

    cpus: int = Field(default=1, ge=1)
    """Cores of a job."""

    gpus: int = Field(default=0, ge=0)
    """GPUs of a job; several train each of its runs together."""

    memory: float | None = Field(default=None, gt=0)
    """GB of memory of a job; null for Slurm's default."""

    runs: int | None = Field(default=None, ge=1)
    """Runs that a job makes one after the other; null for one, or with ``cluster=local`` for as
    many as it takes so that there are no more jobs than workers."""


@dataclass(frozen=True)
class Batch:
    """What one job does: a few runs, one after the other. It is called on its node.

    Attributes:
        jobs: The runs.
        device: ``auto`` or ``cpu``.
        version: The version of the package that planned them.
        gpus: GPUs that train a run together; 1 or 0 for what the device says.
    """

    jobs: tuple[Job, ...]
    device: str
    version: str
    gpus: int = 0

    def __call__(self) -> None:
        """Makes the runs that are not made, or being made elsewhere."""
        check_version(self.version)
        one_at_a_time(device=self.device, gpus=self.gpus).run(self.jobs, lambda _: None)

    def checkpoint(self) -> Any:
        """Tells submitit how to go on after the job was preempted or ran out of time."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@dataclass
class _Submitted:
    """A job of Slurm and those of its runs whose end is not yet told."""

    handle: Any
    open: list[Job]
    started: set[str] = field(default_factory=set)
    looks: int = 0


class SlurmExecutor(Executor):
    """Makes runs as a job array of Slurm, ``workers`` jobs at a time."""

    Options: ClassVar[type[FrozenModel]] = SlurmOptions
    options: SlurmOptions

    def run(self, jobs: Sequence[Job], report: Report) -> None:
        """Submits every run and waits for the results to appear."""
        submitit = _submitit()
        if self.options.cluster == "slurm" and not shutil.which("sbatch"):
            raise UserError("the executor 'slurm' needs sbatch, which is not on this machine")
        self._check_devices(jobs)
        if not jobs:
            return
        submitted = self._submit(submitit, jobs)
        try:
            while submitted:
                submitted = [each for each in submitted if _goes_on(each, report)]
                time.sleep(SECONDS_BETWEEN_LOOKS)
        except BaseException:
            _cancel(submitted)
            raise

    def _check_devices(self, jobs: Sequence[Job]) -> None:
        """Refuses what each job would refuse: GPUs that are not there, batches without shares."""
        gpus = self.options.gpus
        if gpus > 1 and (self.options.cluster == "local" or self.device == "cpu"):
            check_gpus(gpus, self.device)
        check_batches(jobs, max(1, gpus))

    def _submit(self, submitit: Any, jobs: Sequence[Job]) -> list[_Submitted]:
        batches = self._batches(jobs)
        try:
            executor = submitit.AutoExecutor(
                folder=jobs[0].store / FOLDER, cluster=self.options.cluster
            )
        except OSError as error:
            raise UserError(f"{jobs[0].store}: cannot be written ({error.strerror})") from None
        executor.update_parameters(**self._parameters())
        try:
            with executor.batch():
                handles = [executor.submit(batch) for batch in batches]
        except submitit.core.utils.FailedJobError as error:
            reason = " ".join(str(error).split())
            raise UserError(f"Slurm did not take the jobs: {reason[:500]}") from None
        pairs = zip(handles, batches, strict=True)
        return [_Submitted(handle, list(batch.jobs)) for handle, batch in pairs]

    def _batches(self, jobs: Sequence[Job]) -> list[Batch]:
        """Shares the runs out: neighbours go to different jobs, as they take alike."""
        lanes = self.workers or 1
        local = self.options.cluster == "local"
        size = self.options.runs or (-(-len(jobs) // lanes) if local else 1)
        count = -(-len(jobs) // size)
        shares = [tuple(jobs[first::count]) for first in range(count)]
        return [
            Batch(share, device=self.device, version=__version__, gpus=self.options.gpus)
            for share in shares
        ]

    def _parameters(self) -> dict[str, Any]:
        options = self.options
        asked: dict[str, Any] = {
            "name": "sparsebench",
            "timeout_min": max(1, round(options.hours * 60)),
            "cpus_per_task": options.cpus,
            "gpus_per_node": options.gpus or None,
            "mem_gb": options.memory,
            "slurm_partition": options.partition,
            "slurm_account": options.account,
            "slurm_array_parallelism": self.workers,
        }
        return {key: value for key, value in asked.items() if value is not None}


def _goes_on(submitted: _Submitted, report: Report) -> bool:
    """Tells how the runs of a job go; returns whether any is still open."""
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
            if done := _record_loss(job, submitted.handle):
                submitted.open.remove(job)
                report(done)
    return bool(submitted.open)


def _record_loss(job: Job, handle: Any) -> Finished | None:
    """Writes the row of a run whose job has ended; None where another process makes the run."""
    held = lock_run(Store(job.store).work_folder(job.spec))
    if held is None:
        return None
    try:
        if done := finished_since(job):
            return done
        state = str(handle.state).partition(" ")[0]
        reason = f"the job {handle.job_id} ended as {state} and left no result"
        status = _STATUSES.get(state, Status.ERROR)
        log = (handle.stderr() or "").splitlines()[-20:]
        Store(job.store).write(failed(job, status, reason, "\n".join(log) or None))
        return Finished(job.key, status.value, None, reason, 0.0)
    finally:
        held.release()


def _cancel(submitted: Sequence[_Submitted]) -> None:
    """Takes the jobs back, and waits a little for those that run to end."""
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
            "the executor 'slurm' needs the package submitit: pip install 'sparsebench[slurm]'"
        ) from None
    return submitit
