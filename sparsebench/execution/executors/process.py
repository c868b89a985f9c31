"""One run in processes of its own, as their parent sees it: how it goes, and how it ended."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field, replace
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from sparsebench.errors import UserError
from sparsebench.errors.memory import out_of_memory
from sparsebench.execution.events import Finished, Started, Stopped
from sparsebench.execution.executors.ranks import Ranks
from sparsebench.execution.executors.resources import kills_for_memory
from sparsebench.execution.executors.stop_signal import STOP_SIGNALS
from sparsebench.execution.executors.worker import OutOfMemory, RankFailed, StoreFailed, Trained
from sparsebench.execution.job import failed
from sparsebench.results.records import Status
from sparsebench.results.store import Store

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from sparsebench.execution.events import Report
    from sparsebench.execution.executors.ranks import Rank
    from sparsebench.execution.executors.resources import Resources
    from sparsebench.execution.executors.run_lock import RunLock
    from sparsebench.execution.executors.worker import LastEvent
    from sparsebench.execution.job import Job
    from sparsebench.results.records import RunResult

LOG_LINES = 20
_LOG_BYTES = 2**16
"""The part of a log that is read for its last lines; a log may be of any size."""

LAST_SECONDS = 10.0
"""How long a process may take to end after its last event, before it is killed."""

SECONDS_TO_SHOW = 2.0
"""How long the death of a rank may take to show after another rank failed because of it."""

MOST_SERVERS = 10
"""Fork servers that may end under one run before the command gives up."""

ENDS = (Trained, Finished, Stopped, OutOfMemory, RankFailed, StoreFailed)
"""The last events of a process."""


@dataclass
class RunProcess:
    """A run that is in progress.

    Attributes:
        context: Starts processes.
        job: The run.
        lock: Its lock.
        resources: The part of the machine that each of its processes gets.
        report: Takes its events.
    """

    context: BaseContext
    job: Job
    lock: RunLock
    resources: tuple[Resources, ...]
    report: Report
    began: float = field(default_factory=time.monotonic)
    ranks: Ranks = field(init=False)
    measures: bool = field(default=False, init=False)
    first_event: float | None = field(default=None, init=False)
    _servers: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._start()
        self.report(Started(self.job.key))

    @property
    def process(self) -> BaseProcess:
        """The main one of its processes."""
        return self.ranks.alive[0].process

    @property
    def deadline(self) -> float:
        """The time at which it is stopped, by the monotonic clock."""
        return self.began + (self.job.limits.time or float("inf"))

    @property
    def signs(self) -> list[Connection | int]:
        """The objects that are ready once a process sends an event or ends."""
        return [sign for rank in self.ranks.alive for sign in (rank.events, rank.process.sentinel)]

    def poll(self) -> bool:
        """Forward the events of the run; return whether it is still in progress.

        Raises:
            UserError: The results folder cannot be written, or no process can be started.
        """
        for rank in list(self.ranks.alive):
            try:
                while rank.events.poll():
                    event = rank.events.recv()
                    self.first_event = self.first_event or time.monotonic()
                    if isinstance(event, ENDS):
                        return self._end_with(event)
                    self.report(event)
            except (EOFError, OSError):
                if not self._left(rank):
                    return self._died(rank)
        if time.monotonic() >= self.deadline:
            self.kill()
            reason = f"stopped at its time limit of {self.job.limits.time:g} s"
            return self._record(Status.TIMEOUT, reason)
        for rank in list(self.ranks.alive):
            if not (rank.process.is_alive() or rank.events.poll() or self._left(rank)):
                return self._died(rank)
        return True

    def kill(self) -> None:
        """End the run at once."""
        self.ranks.kill()

    def _start(self) -> None:
        self._kills_before = kills_for_memory()
        resources = self.resources[:1] if self.measures else self.resources
        self.ranks = Ranks.start(
            self.context, self.job, self.lock, self._log, resources, measure=self.measures
        )

    def _end_with(self, event: LastEvent) -> bool:
        """Act on the last event of a process; return whether the run is still in progress."""
        if isinstance(event, StoreFailed):
            raise UserError(event.reason)
        if isinstance(event, Trained):
            self.kill()
            self.measures = True
            self._start()
            return True
        if isinstance(event, OutOfMemory):
            return self._retry_smaller(event.reason)
        if isinstance(event, RankFailed):
            return self._rank_failed(event.result)
        return self._end(event)

    def _end(self, event: Finished | Stopped) -> bool:
        """Wait for the process to end, with a limit, and give up the lock."""
        if isinstance(event, Finished):
            if Store(self.job.store).stamp(self.job.spec) in (None, self.job.replaces):
                return self._record(Status.ERROR, "it reported its end, but left no result")
            since = self.first_event or self.began  # without the start of the fork server
            event = replace(event, seconds=time.monotonic() - since)
        self.process.join(LAST_SECONDS)
        self.kill()
        self.lock.release()
        self.report(event)
        return False

    def _retry_smaller(self, reason: str) -> bool:
        """Train once more in smaller micro-batches, if it was training that ran out of memory."""
        smaller = None if self.measures else self.job.smaller(reason, devices=self.ranks.size)
        if smaller is None:
            return self._record(Status.OOM, reason)
        self.kill()
        self.job = smaller
        self._start()
        return True

    def _rank_failed(self, result: RunResult) -> bool:
        """Keep the row of a rank that failed, unless it did because another one had died."""
        wait([rank.process.sentinel for rank in self.ranks.alive], SECONDS_TO_SHOW)
        for rank in self.ranks.alive:
            if rank.process.exitcode:
                return self._died(rank)
        return self._write(result)

    def _left(self, rank: Rank) -> bool:
        """Return whether a rank has trained to the end and left; it is then forgotten."""
        if rank.number == 0:
            return False
        rank.process.join(LAST_SECONDS)
        if rank.process.exitcode != 0:
            return False
        rank.kill()
        self.ranks.alive.remove(rank)
        return True

    def _died(self, rank: Rank) -> bool:
        """Decide what becomes of a run whose process ended without a last event."""
        rank.process.join(LAST_SECONDS)
        code = rank.process.exitcode or 0
        if rank.lost_its_server:
            return self._start_again()
        if -code in STOP_SIGNALS:  # before it could handle them
            return self._end(Stopped(self.job.key))
        self.kill()
        size = self.ranks.size
        subject = "the process" if size == 1 else f"process {rank.number + 1} of {size}"
        reason = f"{subject} ended with exit code {code}"
        if code < 0:
            reason = f"{subject} was killed by {signal.Signals(-code).name}"
        if code == -signal.SIGKILL and kills_for_memory() > self._kills_before:
            return self._retry_smaller(f"{reason} since the machine was out of memory")
        if code and out_of_memory(self._log_tail()):
            return self._retry_smaller(f"{reason}, out of memory")
        return self._record(Status.ERROR, reason)

    def _start_again(self) -> bool:
        """Start the run once more, as it was, after its fork server ended: it is not at fault."""
        self.kill()
        self._servers += 1
        if self._servers > MOST_SERVERS:
            raise UserError(
                f"the server that forks runs was killed {self._servers} times; finished results "
                "are kept, and the same command resumes"
            )
        self._start()
        return True

    def _record(self, status: Status, reason: str) -> bool:
        """Write the row of a run that could not write its own."""
        return self._write(failed(self.job, status, reason, self._log_tail() or None))

    def _write(self, result: RunResult) -> bool:
        self.kill()
        Store(self.job.store).write(result)
        self.lock.release()
        seconds = time.monotonic() - self.began
        self.report(Finished(self.job.key, result.status.value, None, result.reason, seconds))
        return False

    @property
    def _log(self) -> Path:
        return Store(self.job.store).work_folder(self.job.spec) / "log.txt"

    def _log_tail(self) -> str:
        return last_lines(self._log)


def last_lines(file: Path) -> str:
    """Return the last lines of a log, which may be large; nothing without one."""
    if not file.is_file():
        return ""
    with file.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - _LOG_BYTES))
        lines = stream.read(_LOG_BYTES).decode(errors="replace").splitlines()
    return "\n".join(lines[-LOG_LINES:])
