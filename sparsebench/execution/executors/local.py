"""Runs on this machine, each in a process of its own.

Processes are forked from a server that has imported the heavy libraries and computes nothing, so
that a run starts in a fraction of a second, and one that crashes takes no other with it.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import time
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from sparsebench.errors import UserError
from sparsebench.execution.executors.base import Executor
from sparsebench.execution.executors.memory import check_memory_limit
from sparsebench.execution.executors.process import RunProcess
from sparsebench.execution.executors.resources import (
    check_batches,
    check_device,
    check_gpus,
    divide_machine,
    visible_gpus,
)
from sparsebench.execution.executors.run_lock import Backlog
from sparsebench.schema.base import FrozenModel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.context import BaseContext

    from sparsebench.execution.events import Report
    from sparsebench.execution.job import Job

PRELOAD = (
    "sparsebench.execution.run",
    "sparsebench.execution.executors.worker",
    "sparsebench.metrics.labels",
    "peft",
)
SECONDS_BETWEEN_LOOKS = 0.5
"""How often to look whether a run that another command had is free, or done."""

SECONDS_TO_STOP = 600.0
"""How long a run that is to stop may take: for a step, or to save what it has made."""


class LocalOptions(FrozenModel):
    """What the executor ``local`` takes."""

    gpus: int | None = Field(default=None, ge=1)
    """GPUs that train a run together; null for one, where there are any."""

    processes: int = Field(default=1, ge=1)
    """Processes that train a run together on a CPU, each on its part of the cores."""


class LocalExecutor(Executor):
    """Makes runs on this machine, ``workers`` at a time, sharing out its cores and GPUs."""

    Options: ClassVar[type[FrozenModel]] = LocalOptions
    options: LocalOptions

    def run(self, jobs: Sequence[Job], report: Report) -> None:
        """Makes every run in forked processes of its own: one, or one for each of its devices."""
        devices = self._devices()
        check_device(self.device)
        check_batches(jobs, devices)
        for job in jobs:
            check_memory_limit(job.limits.memory)
        context, backlog = warm_processes(), Backlog(jobs, report)
        free = divide_machine(self.workers or 1, self.device, processes=devices)
        running: list[RunProcess] = []
        try:
            while backlog or running:
                while free and (taken := backlog.take()):
                    running.append(RunProcess(context, *taken, free.pop(0), report))
                _wait(running, look=bool(free and backlog))
                for run in list(running):
                    if not run.goes_on():
                        running.remove(run)
                        free.append(run.resources)
        except KeyboardInterrupt:
            _stop(running)
            raise
        finally:
            for run in running:
                run.kill()
                run.lock.release()

    def _devices(self) -> int:
        """Returns how many devices train a run.

        Raises:
            UserError: There are not so many, or it is not clear which.
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
    """Returns what makes runs on a node of a cluster that was asked for so many GPUs a run."""
    return LocalExecutor(workers=1, device=device, options={"gpus": gpus} if gpus > 1 else None)


def warm_processes() -> BaseContext:
    """Returns what makes processes that have imported the libraries, where the system can."""
    # Threads that wait by spinning starve each other where cores are shared. It is
    # read when the server loads torch.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if "forkserver" not in mp.get_all_start_methods():
        return mp.get_context("spawn")
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOAD))
    return context


def _wait(running: Sequence[RunProcess], *, look: bool) -> None:
    """Waits until a run says something, ends or is to be stopped; or for the next look."""
    if not running:
        time.sleep(SECONDS_BETWEEN_LOOKS if look else 0.0)
        return
    seconds = max(0.0, min(run.deadline for run in running) - time.monotonic())
    if look:
        seconds = min(seconds, SECONDS_BETWEEN_LOOKS)
    signs = [sign for run in running for sign in run.signs]
    wait(signs, None if seconds == float("inf") else seconds)


def _stop(running: Sequence[RunProcess]) -> None:
    """Asks runs to stop after their step; those that do not hear are killed by who called.

    What they still say is read, so that none waits for ever for somebody to listen.
    """
    for run in running:
        run.process.terminate()
    until = time.monotonic() + SECONDS_TO_STOP
    while alive := [run for run in running if run.process.is_alive()]:
        if (left := until - time.monotonic()) <= 0:
            return
        leads = [run.ranks.alive[0] for run in alive]
        signs = [sign for lead in leads for sign in (lead.events, lead.process.sentinel)]
        for sign in wait(signs, left):
            if isinstance(sign, Connection):
                with suppress(EOFError, OSError):
                    sign.recv()
