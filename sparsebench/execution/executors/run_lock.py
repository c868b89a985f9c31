"""Locks on runs, so that commands that share a results folder share its work.

A lock is a file in the work folder of the run, locked by the kernel: it is free again when every
process that holds it is gone, however it went. It says who works, never what is done: that only the
result says.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections import deque
from contextlib import suppress
from multiprocessing.reduction import DupFd
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UserError
from sparsebench.execution.events import Awaited, Finished
from sparsebench.results.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sparsebench.execution.events import Report
    from sparsebench.execution.job import Job

LOCK = ".lock"


class RunLock:
    """A lock that is held; it can be handed to a child process, which then holds it too.

    Args:
        descriptor: The locked file.
        path: Where it is.
    """

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self.path = path

    def release(self) -> None:
        """Gives the lock up, as far as this process holds it."""
        os.close(self._descriptor)

    def discard(self) -> None:
        """Gives the lock up and removes what it alone has made."""
        with suppress(OSError):
            self.path.unlink()
            self.path.parent.rmdir()
        self.release()

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (DupFd(self._descriptor), self.path)


def _received(duplicate: Any, path: Path) -> RunLock:
    descriptor = duplicate.detach()
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - no keyword is taken
    return RunLock(descriptor, path)


def lock_run(work: Path) -> RunLock | None:
    """Locks a run, or returns None where another process has it.

    Args:
        work: The work folder of the run.

    Raises:
        UserError: The folder cannot be written, or its file system has no locks.
    """
    path = work / LOCK
    while True:
        try:
            work.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            if _went(error, work):
                continue
            raise UserError(f"{work}: cannot be written ({error.strerror})") from None
        if not _lock(descriptor, path):
            return None
        if _is_at(descriptor, path):
            return RunLock(descriptor, path)
        os.close(descriptor)  # it was removed while we opened it: others lock another file


def _went(error: OSError, work: Path) -> bool:
    """Whether who had the run has just ended, and taken the folder away while we made it."""
    if not isinstance(error, FileExistsError):
        return isinstance(error, FileNotFoundError)
    try:
        return stat.S_ISDIR(work.stat().st_mode)  # one look: it may come and go between two
    except FileNotFoundError:
        return True


def _lock(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    except OSError as error:
        os.close(descriptor)
        raise UserError(
            f"{path}: cannot be locked ({error.strerror}); name a folder on a file system "
            "that has locks with --output"
        ) from None
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


class Backlog:
    """The runs that are still to be made; hands out those that nobody else is making.

    Args:
        jobs: The runs.
        report: Is told of runs that another command makes or has made.
    """

    def __init__(self, jobs: Iterable[Job], report: Report) -> None:
        self._waiting = deque(jobs)
        self._awaited: set[str] = set()
        self._report = report

    def __len__(self) -> int:
        """Returns how many are not handed out."""
        return len(self._waiting)

    def take(self) -> tuple[Job, RunLock] | None:
        """Returns the next run with its lock, or None where others have all that are left.

        Raises:
            UserError: The results folder cannot be read or written.
        """
        for _ in range(len(self._waiting)):
            job = self._waiting.popleft()
            held = lock_run(Store(job.store).work_folder(job.spec))
            if held is None:
                self._waiting.append(job)
                self._tell_once(job)
            elif (done := finished_since(job)) is not None:
                held.discard()
                self._report(done)
            else:
                return job, held
        return None

    def _tell_once(self, job: Job) -> None:
        if job.key not in self._awaited:
            self._awaited.add(job.key)
            self._report(Awaited(job.key))


def finished_since(job: Job) -> Finished | None:
    """Returns how a run ended that another process has made since it was planned."""
    store = Store(job.store)
    if store.stamp(job.spec) in (None, job.replaces):
        return None
    result = store.find(job.spec)
    if result is None:
        return None
    return Finished(job.key, result.status.value, result.score, result.reason, 0.0)
