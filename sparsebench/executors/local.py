"""Runs on this machine, each in a process of its own.

Processes are forked from a server that has imported the heavy libraries and computes nothing, so
that a run starts in a fraction of a second, and one that crashes takes no other with it.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import sys
import time
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING

from sparsebench.events import Finished, Started
from sparsebench.executors.base import Executor
from sparsebench.executors.worker import work
from sparsebench.results.schema import RunResult, Status
from sparsebench.results.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from sparsebench.events import Report
    from sparsebench.job import Job

PRELOAD = (
    "sparsebench.run",
    "sparsebench.executors.worker",
    "sparsebench.metrics.classification",
    "sparsebench.metrics.correlation",
    "peft",
)
LOG_LINES = 20


@dataclass
class _Worker:
    job: Job
    process: BaseProcess
    events: Connection
    log: Path
    began: float


class LocalExecutor(Executor):
    """Makes runs on this machine, ``workers`` at a time, sharing out its cores."""

    def run(self, jobs: Sequence[Job], report: Report) -> None:
        """Makes every run in a forked process of its own."""
        context = _context()
        waiting, running = deque(jobs), list[_Worker]()
        try:
            while waiting or running:
                while waiting and len(running) < self.workers:
                    running.append(self._start(context, waiting.popleft()))
                    report(Started(running[-1].job.key))
                running = _listen(running, report)
        finally:
            for worker in running:
                worker.process.terminate()
            for worker in running:
                worker.process.join()

    def _start(self, context: BaseContext, job: Job) -> _Worker:
        receiver, sender = context.Pipe(duplex=False)
        log = Store(job.store).work_folder(job.spec) / "log.txt"
        each = max(1, threads() // self.workers)
        process = context.Process(  # type: ignore[attr-defined]
            target=work, args=(job, sender, log, each, self.device), name=job.spec.title
        )
        process.start()
        sender.close()
        return _Worker(job, process, receiver, log, time.perf_counter())


def threads() -> int:
    """Returns how many threads may compute: one for each core, or what OMP_NUM_THREADS says."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(asked)) if asked.isdecimal() and int(asked) else cores


def _context() -> BaseContext:
    # Threads that wait by spinning starve each other where cores are shared. It is
    # read when the server loads torch.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if "forkserver" not in mp.get_all_start_methods():
        return mp.get_context("spawn")
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOAD))
    return context


def _listen(running: list[_Worker], report: Report) -> list[_Worker]:
    """Passes on what workers say; returns those that are still at work."""
    wait([worker.events for worker in running])
    return [worker for worker in running if _still_at_work(worker, report)]


def _still_at_work(worker: _Worker, report: Report) -> bool:
    try:
        while worker.events.poll():
            event = worker.events.recv()
            report(event)
            if isinstance(event, Finished):
                worker.process.join()
                return False
    except EOFError:
        worker.process.join()
        report(_record_death(worker))
        return False
    return True


def _record_death(worker: _Worker) -> Finished:
    """Writes the row of a run whose process ended without a word."""
    code = worker.process.exitcode or 0
    reason = f"the process ended with exit code {code}"
    if code < 0:
        reason = f"the process was killed by {signal.Signals(-code).name}"
        reason += " (out of memory?)" if -code == signal.SIGKILL else ""
    lines = worker.log.read_text(errors="replace").splitlines() if worker.log.is_file() else []
    result = RunResult(
        key=worker.job.key,
        suite=worker.job.suite,
        spec=worker.job.spec,
        status=Status.ERROR,
        reason=reason,
        traceback="\n".join(lines[-LOG_LINES:]) or None,
    )
    Store(worker.job.store).write(result)
    seconds = time.perf_counter() - worker.began
    return Finished(worker.job.key, Status.ERROR.value, None, reason, seconds)
