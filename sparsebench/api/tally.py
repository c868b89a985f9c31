"""The state of runs in progress: which run, which have ended, how much time is left."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sparsebench.execution.events import Finished, Progressed, Started

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sparsebench.execution.events import Event

OK = "ok"
"""The status of a run that has a score."""

OWN_PACE = 0.05
"""Share of its training after which a run's own pace predicts more than that of earlier runs."""

MINUTE = 60


def duration(seconds: float) -> str:
    """Return seconds as ``40 s``, ``2 min`` or ``1 h 20 min``."""
    if seconds < 1.5 * MINUTE:
        return f"{max(1, round(seconds))} s"
    hours, minutes = divmod(round(seconds / MINUTE), 60)
    return " ".join(f"{n} {unit}" for n, unit in ((hours, "h"), (minutes, "min")) if n)


@dataclass(frozen=True)
class Running:
    """A run in progress.

    Attributes:
        title: Its title.
        since: When it began, in seconds of the tally's clock.
        latest: Its latest event.
        trained: The share of its training that is done.
        first_step: Time and ``trained`` at its first event of training: what came before, such as
            loading, or the steps of an earlier command, says nothing about the pace.
        entered: When its latest phase began, in seconds of the tally's clock.
    """

    title: str
    since: float
    latest: Progressed | None = None
    trained: float = 0.0
    first_step: tuple[float, float] | None = None
    entered: float = 0.0

    def moved(self, event: Progressed, now: float) -> Running:
        """Return the run after an event."""
        is_step = event.phase == "train" and event.total
        trained = event.done / event.total if is_step else self.trained
        same = self.latest is not None and self.latest.phase == event.phase
        entered = self.entered if same else now
        first = self.first_step or ((now, trained) if is_step else None)
        return replace(self, latest=event, trained=trained, first_step=first, entered=entered)

    def training_left(self, now: float) -> float | None:
        """Estimate the time left from the steps that were measured; None before there are any.

        With a single event of training, the pace follows from the age of the run, if enough of the
        training is done.
        """
        if self.first_step is not None and self.trained > self.first_step[1]:
            since, before = self.first_step
            return (now - since) / (self.trained - before) * (1 - self.trained)
        if self.trained >= OWN_PACE:
            return (now - self.since) * (1 / self.trained - 1)
        return None

    def seconds_left(self, now: float, typical: float) -> float:
        """Estimate the time left, from the pace of its training, then of its evaluation.

        Args:
            now: Seconds of the tally's clock.
            typical: Seconds of a whole run.
        """
        latest, training = self.latest, self.training_left(now)
        if training is None or self.trained < OWN_PACE:
            training = typical - (now - self.since)
        if latest is None or latest.phase == "train" or not latest.done:
            return max(0.0, training)
        evaluating = (now - self.entered) * (latest.total - latest.done) / latest.done
        return evaluating if self.trained == 1 else max(0.0, training, evaluating)


@dataclass(frozen=True)
class Snapshot:
    """The tally at one moment.

    Attributes:
        total: The number of runs.
        statuses: Status -> the number of runs that ended with it.
        running: The runs in progress, the oldest first.
        seconds: Seconds since the tally was created.
        seconds_left: An estimate; None while there is nothing to estimate from.
    """

    total: int
    statuses: Mapping[str, int]
    running: tuple[Running, ...]
    seconds: float
    seconds_left: float | None

    @property
    def finished(self) -> int:
        """The number of runs that ended, with or without a score."""
        return sum(self.statuses.values())

    @property
    def failed(self) -> int:
        """The number of runs that ended without a score."""
        return self.finished - self.statuses.get(OK, 0)


class Tally:
    """A count of runs from their events, safe to use from any thread.

    Args:
        titles: Key -> title of each run.
        clock: Returns seconds.
    """

    def __init__(
        self, titles: Mapping[str, str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._titles = titles
        self._clock = clock
        self._began = clock()
        self._lock = threading.Lock()
        self._running: dict[str, Running] = {}
        self._ended: dict[str, Finished] = {}
        self._lanes = 1

    def title(self, key: str) -> str:
        """Return the title of a run."""
        return self._titles.get(key, key)

    def add(self, event: Event) -> None:
        """Count one event."""
        with self._lock:
            if isinstance(event, Finished):
                self._running.pop(event.key, None)
                self._ended[event.key] = event
                return
            if not isinstance(event, Started | Progressed):
                self._running.pop(event.key, None)
                return
            known = self._running.get(event.key) or Running(self.title(event.key), self._clock())
            if isinstance(event, Progressed):
                known = known.moved(event, self._clock())
            self._running[event.key] = known
            self._lanes = max(self._lanes, len(self._running))

    def snapshot(self) -> Snapshot:
        """Return the tally at this moment."""
        with self._lock:
            return Snapshot(
                total=max(len(self._titles), len(self._ended)),
                statuses=Counter(event.status for event in self._ended.values()),
                running=tuple(self._running.values()),
                seconds=self._clock() - self._began,
                seconds_left=self._seconds_left(),
            )

    def _seconds_left(self) -> float | None:
        """Estimate the time left, from the runs that ended and from the pace of the others.

        A run that failed may have ended early: it counts only if no other has ended.
        """
        waiting = len(self._titles) - len(self._ended) - len(self._running)
        open_ = waiting + len(self._running)
        if open_ <= 0:
            return 0.0
        now = self._clock()
        left = [(run, run.training_left(now)) for run in self._running.values()]
        paces = [now - run.since + seconds for run, seconds in left if seconds is not None]
        ended = list(self._ended.values())
        known = [event.seconds for event in ended if event.status == OK]
        known = known or [event.seconds for event in ended] or paces
        if not known:
            return None
        typical = statistics.fmean(known)
        work = waiting * typical
        work += sum(run.seconds_left(now, typical) for run in self._running.values())
        return work / min(self._lanes, open_)
