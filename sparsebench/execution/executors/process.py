"""One run in processes of its own, as their parent sees it: how it goes, and how it ended."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field, replace
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from sparsebench.errors import UserError
from sparsebench.errors.memory import out_of_memory
from sparsebench.execution.events import Finished, Started
from sparsebench.execution.executors.memory import kills_for_memory
from sparsebench.execution.executors.ranks import Ranks
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
    from sparsebench.execution.executors.run_lock import RunLock
    from sparsebench.execution.executors.worker import Resources
    from sparsebench.execution.job import Job
    from sparsebench.results.records import RunResult

LOG_LINES = 20
LAST_SECONDS = 10.0
"""How long a process may take to end once all is said, before it is killed."""

SECONDS_TO_SHOW = 2.0
"""How soon it shows that a process has died, once another has failed for want of it."""

ENDS = (Trained, Finished, OutOfMemory, RankFailed, StoreFailed)
"""What a process says last."""


@dataclass
class RunProcess:
    """A run that goes on.

    Attributes:
        context: Makes processes.
        job: The run.
        lock: Its lock.
        resources: What of the machine each of its processes gets.
        report: Is told how it goes.
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

    def __post_init__(self) -> None:
        self._start()
        self.report(Started(self.job.key))

    @property
    def process(self) -> BaseProcess:
        """The first of its processes, which makes the run."""
        return self.ranks.alive[0].process

    @property
    def deadline(self) -> float:
        """When it is to be stopped, by the monotonic clock."""
        return self.began + (self.job.limits.time or float("inf"))

    @property
    def signs(self) -> list[Connection | int]:
        """What is ready once a process says something or ends."""
        return [sign for rank in self.ranks.alive for sign in (rank.events, rank.process.sentinel)]

    def goes_on(self) -> bool:
        """Passes on what the run says; returns whether it still goes on.

        Raises:
            UserError: The results folder takes no more.
        """
        for rank in list(self.ranks.alive):
            try:
                while rank.events.poll():
                    event = rank.events.recv()
                    self.first_event = self.first_event or time.monotonic()
                    if isinstance(event, ENDS):
                        return self._ended(event)
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

    def end(self) -> None:
        """Waits for the run to end, not for ever, and gives up the lock."""
        self.process.join(LAST_SECONDS)
        self.kill()
        self.lock.release()

    def kill(self) -> None:
        """Ends the run at once."""
        self.ranks.kill()

    def _start(self) -> None:
        self._kills_before = kills_for_memory()
        resources = self.resources[:1] if self.measures else self.resources
        self.ranks = Ranks.start(
            self.context, self.job, self.lock, self._log, resources, measure=self.measures
        )

    def _ended(self, event: Trained | Finished | StoreFailed | OutOfMemory | RankFailed) -> bool:
        """Does what the last event of a process asks for; returns whether the run goes on."""
        if isinstance(event, StoreFailed):
            raise UserError(event.reason)
        if isinstance(event, Trained):
            self.kill()
            self.measures = True
            self._start()
            return True
        if isinstance(event, OutOfMemory):
            return self._again(event.reason)
        if isinstance(event, RankFailed):
            return self._failed(event.result)
        if Store(self.job.store).stamp(self.job.spec) in (None, self.job.replaces):
            return self._record(Status.ERROR, "it reported its end, but left no result")
        self.end()
        seconds = time.monotonic() - (self.first_event or self.began)  # without the server's start
        self.report(replace(event, seconds=seconds))
        return False

    def _again(self, reason: str) -> bool:
        """Train once more in smaller micro-batches, if it was training that ran out of memory."""
        smaller = None if self.measures else self.job.smaller(reason, devices=self.ranks.size)
        if smaller is None:
            return self._record(Status.OOM, reason)
        self.kill()
        self.job = smaller
        self._start()
        return True

    def _failed(self, result: RunResult) -> bool:
        """Keeps the row of a process that failed, unless it did since another had died."""
        wait([rank.process.sentinel for rank in self.ranks.alive], SECONDS_TO_SHOW)
        for rank in self.ranks.alive:
            if rank.process.exitcode:
                return self._died(rank)
        return self._write(result)

    def _left(self, rank: Rank) -> bool:
        """Whether a process has trained along to the end; it is then no longer looked after."""
        if rank.number == 0:
            return False
        rank.process.join(LAST_SECONDS)
        if rank.process.exitcode != 0:
            return False
        rank.kill()
        self.ranks.alive.remove(rank)
        return True

    def _died(self, rank: Rank) -> bool:
        """Tells what a process that ended without a word died of."""
        rank.process.join(LAST_SECONDS)
        self.kill()
        code = rank.process.exitcode or 0
        size = self.ranks.size
        subject = "the process" if size == 1 else f"process {rank.number + 1} of {size}"
        reason = f"{subject} ended with exit code {code}"
        if code < 0:
            reason = f"{subject} was killed by {signal.Signals(-code).name}"
        if code == -signal.SIGKILL and kills_for_memory() > self._kills_before:
            return self._again(f"{reason}, for the machine was out of memory")
        if code and out_of_memory(self._log_tail()):
            return self._again(f"{reason}, out of memory")
        return self._record(Status.ERROR, reason)

    def _record(self, status: Status, reason: str) -> bool:
        """Writes the row of a run that could not write its own."""
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
        lines = self._log.read_text(errors="replace").splitlines() if self._log.is_file() else []
        return "\n".join(lines[-LOG_LINES:])
