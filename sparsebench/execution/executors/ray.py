"""Runs on a Ray cluster: one task a run; results are sent back, so that no disk is shared."""

from __future__ import annotations

import os
import secrets
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from sparsebench.errors import UserError
from sparsebench.execution.events import Finished, Started, Stopped
from sparsebench.execution.executors.base import Executor
from sparsebench.execution.executors.local import SECONDS_BETWEEN_LOOKS
from sparsebench.execution.executors.process import LAST_SECONDS
from sparsebench.execution.executors.remote import (
    Files,
    StoppedThereError,
    execute,
    folder_files,
    keep,
    sent_teacher,
)
from sparsebench.execution.executors.resources import check_batches
from sparsebench.execution.executors.run_lock import Backlog
from sparsebench.execution.job import failed
from sparsebench.results.records import Status
from sparsebench.results.store import Store
from sparsebench.schema.base import FrozenModel
from sparsebench.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsebench.execution.events import Report
    from sparsebench.execution.executors.run_lock import RunLock
    from sparsebench.execution.job import Job

_OBJECTS = 256 * 2**20
"""Bytes of shared memory of a cluster that is started here: results are small."""

_SECONDS_TO_RESPOND = 10


class RayOptions(FrozenModel):
    """The options of the executor ``ray``."""

    address: str = "local"
    """``auto`` for the cluster that this machine is part of, ``HOST:6379`` or ``ray://HOST:10001``
    for another, ``local`` for one of this machine alone, which ends with the command."""

    cpus: float = Field(default=1, gt=0)
    """Cores of a run."""

    gpus: float | None = Field(default=None, ge=0)
    """GPUs of a run, all on one node; null for one, if the cluster has any."""

    retries: int = Field(default=3, ge=0)
    """How often to try a run again whose node or worker was lost."""


@dataclass
class _Task:
    job: Job
    lock: RunLock
    began: float


class RayExecutor(Executor):
    """Runs as tasks of a Ray cluster, each in a process of its own on its node."""

    Options: ClassVar[type[FrozenModel]] = RayOptions
    options: RayOptions

    def run(self, jobs: Sequence[Job], report: Report) -> None:
        """Run every job on the cluster, and store the results that are sent back."""
        ray = _ray()
        self._connect(ray)
        tasks: dict[Any, _Task] = {}
        try:
            gpus = self._gpus(ray)
            check_batches(jobs, max(1, int(gpus)))
            submit, lanes = self._submitter(ray, gpus), self._lanes(ray, gpus)
            backlog = Backlog(jobs, report)
            while backlog or tasks:
                while len(tasks) < lanes and (taken := backlog.take()):
                    tasks[submit(taken[0])] = _Task(*taken, time.monotonic())
                    backlog.report(Started(taken[0].key))
                if not tasks:
                    time.sleep(SECONDS_BETWEEN_LOOKS)
                    continue
                done, _ = ray.wait(list(tasks), timeout=SECONDS_BETWEEN_LOOKS)
                for reference in done:
                    backlog.report(_ended(ray, reference, tasks[reference]))
                    tasks.pop(reference).lock.release()
        except KeyboardInterrupt:
            for reference in tasks:
                ray.cancel(reference)
            if tasks:
                ray.wait(list(tasks), num_returns=len(tasks), timeout=LAST_SECONDS)
            raise
        finally:
            for task in tasks.values():
                task.lock.release()
            ray.shutdown()

    def _connect(self, ray: Any) -> None:
        address = self.options.address
        _check_reachable(address)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        own = {"include_dashboard": False, "object_store_memory": _OBJECTS}
        try:
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level="ERROR",
                **(own if address == "local" else {}),
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise _unreachable(address, error) from None

    def _gpus(self, ray: Any) -> float:
        """Return the GPUs of a run."""
        there = max(n["Resources"].get("GPU", 0) for n in ray.nodes() if n["Alive"])
        if self.device == "cpu":
            return 0
        asked = self.options.gpus
        if asked is None:
            asked = 1 if there or self.device != "auto" else 0
        if asked > there:
            raise UserError(
                f"-x gpus={asked:g}: no node of the Ray cluster has more than {there:g} GPUs; "
                "say --device cpu or -x gpus=0"
            )
        return float(asked)

    def _lanes(self, ray: Any, gpus: float) -> int:
        """Return how many runs to start at a time: as many as the cluster has room for now."""
        if self.workers:
            return self.workers
        there = ray.cluster_resources()
        lanes = there.get("CPU", 1) / self.options.cpus
        return max(1, int(min(lanes, there.get("GPU", 0) / gpus) if gpus else lanes))

    def _submitter(self, ray: Any, gpus: float) -> Any:
        """Return the function that starts a task for a job."""
        task = ray.remote(_execute_on_node).options(
            num_cpus=self.options.cpus,
            num_gpus=gpus,
            max_retries=self.options.retries,
            name="sparsebench",
        )
        terms = {
            "scratch": f"sparsebench-{secrets.token_hex(8)}",
            "folder": os.getcwd(),  # noqa: PTH109 - a text for another machine
            "version": __version__,
        }
        teachers: dict[str, Any] = {}  # one copy on the cluster for all students

        def submit(job: Job) -> Any:
            folder = sent_teacher(job)
            if folder is not None and folder not in teachers:
                teachers[folder] = ray.put(folder_files(Path(folder)))
            return task.remote(job, terms, teachers.get(folder or ""))

        return submit


def _check_reachable(address: str) -> None:
    """Check that a cluster responds; Ray itself would wait for minutes.

    Raises:
        UserError: None does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_SECONDS_TO_RESPOND).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, error) from None


def _unreachable(address: str, error: Exception) -> UserError:
    reason = str(error).strip().partition("\n")[0]
    return UserError(
        f"no Ray cluster at {address!r} ({reason}): start one with 'ray start --head', or leave "
        "the address out"
    )


def _execute_on_node(job: Job, terms: dict[str, Any], teacher: Files | None) -> Files:
    import ray

    terms = {**terms, "teacher": teacher}
    gpus = ray.get_runtime_context().get_accelerator_ids().get("GPU") or []
    if len(gpus) > 1:
        return execute(job, device="cuda", gpus=len(gpus), **terms)
    return execute(job, device=f"cuda:{gpus[0]}" if gpus else "cpu", **terms)


def _ended(ray: Any, reference: Any, task: _Task) -> Finished | Stopped:
    """Store the result of a task, or the row of one that was lost."""
    job, errors = task.job, ray.exceptions
    try:
        keep(job, ray.get(reference))
    except errors.OutOfMemoryError as error:
        _record(job, Status.OOM, "the node was out of memory", error)
    except errors.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, StoppedThereError):
            return Stopped(job.key)
        _record(job, Status.ERROR, f"{type(cause).__name__}: {cause}", error)
    except errors.RayError as error:
        _record(job, Status.ERROR, f"lost by Ray: {type(error).__name__}", error)
    seconds = time.monotonic() - task.began
    result = Store(job.store).find(job.spec)
    if result is None:
        raise UserError(f"{job.store}: the result of {job.spec.title} was removed")
    return Finished(job.key, result.status.value, result.score, result.reason, seconds)


def _record(job: Job, status: Status, reason: str, error: Exception) -> None:
    lines = str(error).splitlines()[-20:]
    Store(job.store).write(failed(job, status, reason, "\n".join(lines)))


def _ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise UserError(
            "the executor 'ray' requires the package ray: pip install 'sparsebench[ray]'"
        ) from None
    return ray
