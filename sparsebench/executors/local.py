"""Runs on this machine, each in a process of its own.

Processes are forked from a server that has imported the heavy libraries and computes nothing, so
that a run starts in a fraction of a second, and one that crashes takes no other with it.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import time
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from sparsebench.executors.base import Executor
from sparsebench.executors.claims import Backlog
from sparsebench.executors.memory import check_memory_limit
from sparsebench.executors.process import LAST_SECONDS, RunProcess
from sparsebench.executors.shares import shares

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.context import BaseContext

    from sparsebench.events import Report
    from sparsebench.job import Job

PRELOAD = (
    "sparsebench.run",
    "sparsebench.executors.worker",
    "sparsebench.metrics.classification",
    "sparsebench.metrics.correlation",
    "peft",
)
SECONDS_BETWEEN_LOOKS = 0.5
"""How often to look whether a run that another command had is free, or done."""


class LocalExecutor(Executor):
    """Makes runs on this machine, ``workers`` at a time, sharing out its cores and GPUs."""

    def run(self, jobs: Sequence[Job], report: Report) -> None:
        """Makes every run in a forked process of its own."""
        for job in jobs:
            check_memory_limit(job.limits.memory)
        context, backlog = warm_processes(), Backlog(jobs, report)
        free = shares(self.workers or 1, self.device)
        running: list[RunProcess] = []
        try:
            while backlog or running:
                while free and (taken := backlog.take()):
                    running.append(RunProcess(context, *taken, free.pop(0), report))
                _wait(running, look=bool(free and backlog))
                for run in list(running):
                    if not run.goes_on():
                        running.remove(run)
                        free.append(run.share)
        except KeyboardInterrupt:
            _stop(running)
            raise
        finally:
            for run in running:
                run.kill()
                run.claim.release()


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
    signs = [sign for run in running for sign in (run.events, run.process.sentinel)]
    wait(signs, None if seconds == float("inf") else seconds)


def _stop(running: Sequence[RunProcess]) -> None:
    """Asks runs to stop after their step; those that do not hear are killed by who called."""
    for run in running:
        run.process.terminate()
    until = time.monotonic() + LAST_SECONDS
    for run in running:
        run.process.join(max(0.0, until - time.monotonic()))
