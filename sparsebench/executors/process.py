"""One run in a process of its own, as its parent sees it: how it goes, and how it ended."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sparsebench.errors import UserError
from sparsebench.events import Finished, Started
from sparsebench.executors.memory import kills_for_memory
from sparsebench.executors.worker import Exhausted, Refused, work
from sparsebench.job import failed
from sparsebench.results.schema import Status
from sparsebench.results.store import Store

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess
    from pathlib import Path

    from sparsebench.events import Report
    from sparsebench.executors.claims import Claim
    from sparsebench.executors.worker import Share
    from sparsebench.job import Job

LOG_LINES = 20
LAST_SECONDS = 10.0
"""How long a process may take to end once all is said, before it is killed."""

_NO_MEMORY = ("MemoryError", "std::bad_alloc", "can't allocate memory", "Cannot allocate memory")


@dataclass
class RunProcess:
    """A run that goes on.

    Attributes:
        context: Makes processes.
        job: The run.
        claim: Its lock.
        share: What of the machine it gets.
        report: Is told how it goes.
    """

    context: BaseContext
    job: Job
    claim: Claim
    share: Share
    report: Report
    began: float = field(default_factory=time.monotonic)
    process: BaseProcess = field(init=False)
    events: Connection = field(init=False)

    def __post_init__(self) -> None:
        self._start()
        self.report(Started(self.job.key))

    @property
    def deadline(self) -> float:
        """When it is to be stopped, by the monotonic clock."""
        return self.began + (self.job.limits.time or float("inf"))

    def goes_on(self) -> bool:
        """Passes on what the run says; returns whether it still goes on.

        Raises:
            UserError: The results folder takes no more.
        """
        try:
            while self.events.poll():
                event = self.events.recv()
                if isinstance(event, Refused):
                    raise UserError(event.reason)
                if isinstance(event, Exhausted):
                    return self._again(event.reason)
                self.report(event)
                if isinstance(event, Finished):
                    self.end()
                    return False
        except (EOFError, OSError):
            return self._died()
        if time.monotonic() >= self.deadline:
            self.kill()
            reason = f"stopped at its time limit of {self.job.limits.time:g} s"
            return self._record(Status.TIMEOUT, reason)
        return self.process.is_alive() or self.events.poll() or self._died()

    def end(self) -> None:
        """Waits for the process to end, not for ever, and gives up the lock."""
        self.process.join(LAST_SECONDS)
        self.kill()
        self.claim.release()

    def kill(self) -> None:
        """Ends the process at once."""
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.events.close()

    def _start(self) -> None:
        self._kills_before = kills_for_memory()
        self.events, sender = self.context.Pipe(duplex=False)
        self.process = self.context.Process(  # type: ignore[attr-defined]
            target=work,
            args=(self.job, self.claim, sender, self._log, self.share),
            name=self.job.spec.title,
        )
        self.process.start()
        sender.close()

    def _again(self, reason: str) -> bool:
        """Makes the run once more in smaller micro-batches."""
        smaller = self.job.smaller(reason)
        if smaller is None:
            return self._record(Status.OOM, reason)
        self.kill()
        self.job = smaller
        self._start()
        return True

    def _died(self) -> bool:
        """Tells what a process that ended without a word died of."""
        self.process.join(LAST_SECONDS)
        self.kill()
        code = self.process.exitcode or 0
        reason = f"the process ended with exit code {code}"
        if code < 0:
            reason = f"the process was killed by {signal.Signals(-code).name}"
        if code == -signal.SIGKILL and kills_for_memory() > self._kills_before:
            return self._again(f"{reason}, for the machine was out of memory")
        if code and any(words in self._log_tail() for words in _NO_MEMORY):
            return self._again(f"{reason}, out of memory")
        return self._record(Status.ERROR, reason)

    def _record(self, status: Status, reason: str) -> bool:
        """Writes the row of a run that could not write its own."""
        self.kill()
        result = failed(self.job, status, reason, self._log_tail() or None)
        Store(self.job.store).write(result)
        self.claim.release()
        seconds = time.monotonic() - self.began
        self.report(Finished(self.job.key, status.value, None, reason, seconds))
        return False

    @property
    def _log(self) -> Path:
        return Store(self.job.store).work_folder(self.job.spec) / "log.txt"

    def _log_tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.is_file() else []
        return "\n".join(lines[-LOG_LINES:])
