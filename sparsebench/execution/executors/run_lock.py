"""Locks on runs, so that commands that share a results folder share its work.

A lock is a file in the work folder of the run, locked by the kernel: it is free again when every
process that holds it has ended, for whatever reason. It says who runs, never what is finished: only
the result says that.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import stat
import weakref
from collections import deque
from contextlib import suppress
from multiprocessing.reduction import DupFd
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UserError
from sparsebench.execution.events import Awaited
from sparsebench.execution.executors.teacher_order import TeacherOrder, finished_since, skip
from sparsebench.execution.teachers import with_teacher
from sparsebench.results.records import RunResult
from sparsebench.results.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sparsebench.execution.events import Report
    from sparsebench.execution.job import Job

LOCK = ".lock"
_LONGEST_HOLDER = 300
_HOLDER = re.compile(r"process \d+ on [\w.-]+", re.ASCII)


class RunLock:
    """A lock that is held; sent to a process of the run, that process holds it too.

    A process that a method forks does not: it may live longer than the run.

    Args:
        descriptor: The locked file.
        path: Its place.
    """

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self.path = path
        _HELD.add(self)

    def release(self) -> None:
        """Give the lock up, as far as this process holds it."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def discard(self) -> None:
        """Give the lock up, and remove its file and the work folder if it is empty."""
        with suppress(OSError):
            self.path.unlink()
            self.path.parent.rmdir()
        self.release()

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (DupFd(self._descriptor), self.path)


_HELD: weakref.WeakSet[RunLock] = weakref.WeakSet()


def _release_all() -> None:
    for lock in list(_HELD):
        lock.release()


os.register_at_fork(after_in_child=_release_all)


def _received(duplicate: Any, path: Path) -> RunLock:
    descriptor = duplicate.detach()
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - positional only
    return RunLock(descriptor, path)


def lock_run(work: Path) -> RunLock | None:
    """Lock a run; return None if another process has it.

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
            if _was_removed(error, work):
                continue
            raise UserError(f"{work}: cannot be written ({error.strerror})") from None
        if not _lock(descriptor, path):
            return None
        if _is_at(descriptor, path):
            _sign(descriptor)
            return RunLock(descriptor, path)
        os.close(descriptor)  # it was removed while it was opened: others lock another file


def holder(work: Path) -> str:
    """Return the process that has a run, as it named itself; empty if it did not."""
    try:
        with (work / LOCK).open("rb") as stream:
            found = _HOLDER.match(stream.read(_LONGEST_HOLDER).decode(errors="replace"))
    except OSError:
        return ""
    return found[0] if found else ""


def _sign(descriptor: int) -> None:
    """Write into a lock file which process has it."""
    with suppress(OSError):  # a full disk, which the run will report
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)


def _was_removed(error: OSError, work: Path) -> bool:
    """True if the previous owner removed the work folder while it was being created here."""
    if not isinstance(error, FileExistsError):
        return isinstance(error, FileNotFoundError)
    try:
        return stat.S_ISDIR(work.stat().st_mode)  # once: it may come and go between two calls
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
    """The runs that are pending; it hands out those that no other command has.

    A run that learns from another one waits until that one is done, here or elsewhere. If it ends
    without a model, the run is skipped with its reason.

    Args:
        jobs: The runs.
        report: Takes the events of all runs; the executor reports its own through ``report``.
    """

    def __init__(self, jobs: Iterable[Job], report: Report) -> None:
        self._waiting = deque(jobs)
        self._awaited: set[str] = set()
        self._order = TeacherOrder(tuple(self._waiting), report)
        self.report = self._order.report

    def __len__(self) -> int:
        """Return the number of runs that are not handed out."""
        return len(self._waiting)

    def take(self) -> tuple[Job, RunLock] | None:
        """Return the next run with its lock, or None if others have all that are left.

        Raises:
            UserError: The results folder cannot be read or written.
        """
        for _ in range(len(self._waiting)):
            job = self._waiting.popleft()
            if self._order.ends(job):
                continue
            if self._order.holds(job):
                self._waiting.append(job)
                continue
            work = Store(job.store).work_folder(job.spec)
            lock = lock_run(work)
            if lock is None:
                self._waiting.append(job)
                self._report_once(job, work)
            elif (done := finished_since(job)) is not None:
                lock.discard()
                self.report(done)
            elif isinstance(ready := with_teacher(job), RunResult):
                self.report(skip(job, ready))
                lock.release()
            else:
                return ready, lock
        return None

    def _report_once(self, job: Job, work: Path) -> None:
        if job.key not in self._awaited:
            self._awaited.add(job.key)
            self.report(Awaited(job.key, holder(work)))
