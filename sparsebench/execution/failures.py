"""The status and the reason of a run, or of a profile, that an exception ended."""

from __future__ import annotations

import errno
import traceback
from typing import TYPE_CHECKING

from sparsebench.errors import UserError, message_of
from sparsebench.errors.memory import out_of_memory
from sparsebench.execution.job import Outcome, failed
from sparsebench.results.records import Status
from sparsebench.training.prediction import NonFiniteOutputError
from sparsebench.training.stage_callback import DivergedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sparsebench.execution.job import Job

TRACEBACK_LINES = 30

_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_UNWRITABLE_WORDS = ("No space left on device", "Disk quota exceeded", "Read-only file system")
"""Words of libraries that raise errors of other kinds when the disk is full."""

_NO_THREAD = "can't start new thread"
"""Python's message when a memory limit leaves no room for the stack of a thread."""


class UnwritableError(UserError):
    """The results folder cannot be written; the run is not at fault and can run again."""


def failure(job: Job, error: BaseException) -> Outcome:
    """Return the row of a run that an exception ended.

    Raises:
        UnwritableError: The disk is full or read-only.
    """
    if unwritable := _unwritable(error):
        raise UnwritableError(
            f"{job.store}: {unwritable}, in {job.spec.title}; finished results are kept: free some "
            "space and run the same command again to resume"
        ) from error
    if job.limits.memory and _NO_THREAD in message_of(error):
        return Outcome(failed(job, Status.OOM, message_of(error)))
    status, reason = failure_of(error)
    if status is not Status.ERROR or isinstance(error, UserError):
        return Outcome(failed(job, status, reason))
    lines = "".join(traceback.format_exception(error)).splitlines()[-TRACEBACK_LINES:]
    return Outcome(failed(job, status, reason, "\n".join(lines)))


def failure_of(error: BaseException) -> tuple[Status, str]:
    """Return the status and the reason that an exception stands for."""
    message = message_of(error)
    if out_of_memory(error):
        return Status.OOM, message or "out of memory"
    if isinstance(error, (DivergedError, NonFiniteOutputError)):
        return Status.DIVERGED, message
    if isinstance(error, UserError):
        return Status.ERROR, message
    return Status.ERROR, f"{type(error).__name__}: {message}"


def _unwritable(error: BaseException) -> str | None:
    """Return the system's message if a file could not be written for lack of space."""
    for each in _chain(error):
        if isinstance(each, OSError) and each.errno in _UNWRITABLE:
            return each.strerror
        for words in _UNWRITABLE_WORDS:
            if words in message_of(each):
                return words
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
