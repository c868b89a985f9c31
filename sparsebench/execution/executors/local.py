"""Runs on this machine, each in a process of its own, so that a crash ends one run alone."""

from __future__ import annotations

import time
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from sparsebench.errors import UserError
from sparsebench.execution.executors.base import Executor
from sparsebench.execution.executors.fork_server import warm_processes
from sparsebench.execution.executors.process import RunProcess
from sparsebench.execution.executors.resources import (
    check_batches,
    check_device,
    check_gpus,
    check_memory_limit,
    default_workers,
    divide_machine,
    lacks_bf16,
    visible_gpus,
)
from sparsebench.execution.executors.run_lock import Backlog
from sparsebench.execution.executors.stop_signal import interrupted_by_sigterm
from sparsebench.schema.base import FrozenModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsebench.execution.events import Report
    from sparsebench.execution.job import Job

SECONDS_BETWEEN_LOOKS = 0.5
"""How often to check whether a run that another command had is free, or finished."""

SECONDS_TO_STOP = 600.0
"""How long a run may take to stop: to finish a step, or to save its result."""


_BF16_IS_SLOW = (
    "training.precision is bf16, for which this CPU has no instructions: a run takes many times as "
    "long as with --set training.precision=fp32"
)


class LocalOptions(FrozenModel):
    """The options of the executor ``local``."""

    gpus: int | None = Field(default=None, ge=1)
    """GPUs that train a run together; null for one, if there are any."""

    processes: int = Field(default=1, ge=1)
    """Processes that train a run together on a CPU, each on its part of the cores."""


class LocalExecutor(Executor):
    """Runs on this machine, ``workers`` at a time, which divide its cores and GPUs."""

    Options: ClassVar[type[FrozenModel]] = LocalOptions
    options: LocalOptions

    def notes(self, jobs: Sequence[Job]) -> Sequence[str]:
        """Return that bfloat16 is slow here, if a job trains in it on such a CPU."""
        if not any(job.spec.training.precision == "bf16" for job in jobs) or not lacks_bf16():
            return ()
        if self.device == "cpu" or (self.device == "auto" and not visible_gpus()):
            return (_BF16_IS_SLOW,)
        return ()

    def run(self, jobs: Sequence[Job], report: Report) -> None:
        """Run every job in forked processes of its own: one, or one for each of its devices."""
        devices = self._devices()
        check_device(self.device)
        check_batches(jobs, devices)
        for job in jobs:
            check_memory_limit(job.limits.memory)
        context, backlog = warm_processes(), Backlog(jobs, report)
        planned = self.planned or jobs  # else fewer runs would have more threads, and other losses
        workers = self.workers or (1 if devices > 1 else default_workers(planned, self.device))
        free = divide_machine(workers, self.device, processes=devices)
        running: list[RunProcess] = []
        with interrupted_by_sigterm():
            try:
                while backlog or running:
                    while free and (taken := backlog.take()):
                        running.append(RunProcess(context, *taken, free.pop(0), backlog.report))
                    _wait(running, look=bool(free and backlog))
                    for run in list(running):
                        if not run.poll():
                            running.remove(run)
                            free.append(run.resources)
            except (KeyboardInterrupt, SystemExit):  # the latter from the handlers of submitit
                _stop(running)
                raise
            finally:
                for run in running:
                    run.kill()
                    run.lock.release()

    def _devices(self) -> int:
        """Return the number of devices that train a run.

        Raises:
            UserError: There are not so many, or the options contradict each other.
        """
        gpus, processes = self.options.gpus, self.options.processes
        if gpus is not None:
            if processes > 1:
                raise UserError("-x gpus= and -x processes= exclude each other")
            check_gpus(gpus, self.device)
            return gpus
        if processes > 1 and (self.device.startswith("cuda") or self._finds_gpus()):
            raise UserError(
                "-x processes= is for a CPU: add --device cpu, or ask for GPUs with -x gpus="
            )
        return processes

    def _finds_gpus(self) -> bool:
        return self.device == "auto" and bool(visible_gpus())


def one_at_a_time(*, device: str, gpus: int) -> LocalExecutor:
    """Return the executor of a cluster node on which each run has so many GPUs."""
    return LocalExecutor(workers=1, device=device, options={"gpus": gpus} if gpus > 1 else None)


def _wait(running: Sequence[RunProcess], *, look: bool) -> None:
    """Wait until a run sends an event, ends or reaches its time limit; or until the next look."""
    if not running:
        time.sleep(SECONDS_BETWEEN_LOOKS if look else 0.0)
        return
    seconds = max(0.0, min(run.deadline for run in running) - time.monotonic())
    if look:
        seconds = min(seconds, SECONDS_BETWEEN_LOOKS)
    signs = [sign for run in running for sign in run.signs]
    wait(signs, None if seconds == float("inf") else seconds)


def _stop(running: Sequence[RunProcess]) -> None:
    """Ask runs to stop after their step; the caller kills those that do not.

    Their events are read meanwhile, so that none waits for room in its pipe.
    """
    for run in running:
        run.process.terminate()
    until = time.monotonic() + SECONDS_TO_STOP
    while alive := [run for run in running if run.process.is_alive()]:
        if (left := until - time.monotonic()) <= 0:
            return
        main = [run.ranks.alive[0] for run in alive]
        signs = [sign for rank in main for sign in (rank.events, rank.process.sentinel)]
        for sign in wait(signs, left):
            if isinstance(sign, Connection):
                with suppress(EOFError, OSError):
                    sign.recv()
