"""The order of runs: one that learns from another starts when that one is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparsebench.execution.events import Finished, Stopped
from sparsebench.results.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsebench.execution.events import Event, Report
    from sparsebench.execution.job import Job
    from sparsebench.results.records import RunResult


class TeacherOrder:
    """The runs that wait for their teacher; whether it is done, its stored result shows.

    Args:
        jobs: The runs of this command.
        report: Takes the events of all runs; the executor reports its own through ``report``.
    """

    def __init__(self, jobs: Sequence[Job], report: Report) -> None:
        self._keys = {job.key for job in jobs}
        self._stopped: set[str] = set()
        self._report = report

    def report(self, event: Event) -> None:
        """Report an event, and note which runs were asked to stop."""
        if isinstance(event, Stopped):
            self._stopped.add(event.key)
        self._report(event)

    def holds(self, job: Job) -> bool:
        """Whether a run must wait, since its teacher is one of these runs and is not done."""
        above = _unfinished_teacher(job)
        return above is not None and above.key in self._keys - self._stopped

    def ends(self, job: Job) -> bool:
        """Report a run as stopped if its teacher was; return whether it is."""
        above = _unfinished_teacher(job)
        stopped = above is not None and above.key in self._stopped
        if stopped:
            self.report(Stopped(job.key))
        return stopped


def _unfinished_teacher(job: Job) -> Job | None:
    """Return the run of the teacher of a run, if it is not done."""
    above = job.teacher.run if job.teacher else None
    return None if above is None or finished_since(above) else above


def skip(job: Job, row: RunResult) -> Finished:
    """Write the row of a run that is skipped, and return how it ended."""
    Store(job.store).write(row)
    return Finished(job.key, row.status.value, None, row.reason, 0.0)


def finished_since(job: Job) -> Finished | None:
    """Return how a run ended that another process finished after it was planned; None if none."""
    store = Store(job.store)
    if store.stamp(job.spec) in (None, job.replaces):
        return None
    result = store.find(job.spec)
    if result is None:
        return None
    return Finished(job.key, result.status.value, result.score, result.reason, 0.0)
