"""What becomes of a run that failed: a row with the right status, if any row can be kept."""

from __future__ import annotations

import errno
import traceback
from typing import TYPE_CHECKING

from sparsebench.errors import UserError
from sparsebench.errors.memory import out_of_memory
from sparsebench.execution.job import Outcome, failed
from sparsebench.results.records import Status
from sparsebench.training import DivergedError
from sparsebench.training.prediction import NonFiniteOutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sparsebench.execution.job import Job

TRACEBACK_LINES = 30

_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_UNWRITABLE_WORDS = ("No space left on device", "Disk quota exceeded", "Read-only file system")
"""Words of libraries that raise other kinds of errors where the disk is full."""

_NO_THREAD = "can't start new thread"
"""What Python says where a limit leaves no room for the stack of a thread."""


class UnwritableError(UserError):
    """A results folder that takes no more: no fault of the run, which can be made again."""


def failure(job: Job, error: BaseException) -> Outcome:
    """Returns the row of a run that an exception ended.

    Raises:
        UnwritableError: The disk is full or read-only.
    """
    if unwritable := _unwritable(error):
        raise UnwritableError(
            f"{job.store}: {unwritable}, in {job.spec.title}; what is finished is kept: once there "
            "is room, the same command goes on from here"
        ) from error
    if out_of_memory(error) or (job.limits.memory and _NO_THREAD in str(error)):
        return Outcome(failed(job, Status.OOM, str(error) or "out of memory"))
    if isinstance(error, (DivergedError, NonFiniteOutputError)):
        return Outcome(failed(job, Status.DIVERGED, str(error)))
    if isinstance(error, UserError):
        return Outcome(failed(job, Status.ERROR, str(error)))
    lines = "".join(traceback.format_exception(error)).splitlines()[-TRACEBACK_LINES:]
    return Outcome(failed(job, Status.ERROR, f"{type(error).__name__}: {error}", "\n".join(lines)))


def _unwritable(error: BaseException) -> str | None:
    """Returns what the system said where a file could not be written for want of room."""
    for each in _chain(error):
        if isinstance(each, OSError) and each.errno in _UNWRITABLE:
            return each.strerror
        for words in _UNWRITABLE_WORDS:
            if words in str(each):
                return words
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
