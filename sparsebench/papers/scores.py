"""Compare published scores with stored results."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from sparsebench.leaderboard.build.run_terms import group_by
from sparsebench.results.records import Status
from sparsebench.statistics import TaskScores, estimate, influence
from sparsebench.suite import training_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sparsebench.leaderboard.build.scores import ReadPredictions
    from sparsebench.papers.published import PublishedTable
    from sparsebench.results.records import RunResult
    from sparsebench.statistics import Estimate
    from sparsebench.suite import Suite

RATE = "learning_rate"
"""The setting that users of a suite may change."""

SEEDS = 2
"""Seeds that an interval over runs requires."""


class Agreement(StrEnum):
    """How our score compares with the published one."""

    AGREES = "not significantly different"
    """The published score is in our 95 % confidence interval."""

    HIGHER = "ours is higher"
    """Ours is significantly higher."""

    LOWER = "ours is lower"
    """Ours is significantly lower."""

    UNSURE = "one seed"
    """Ours has no confidence interval."""

    WAITING = "waiting"
    """There is no result."""


@dataclass(frozen=True)
class ComparedScore:
    """A published score and ours.

    Attributes:
        method: The label of the method, with its learning rate if there are several.
        task: The task.
        metric: The metric in the paper.
        published: The published score.
        ours: Our score minus the published one, as shares; None without a result.
        seeds: The number of our seeds.
    """

    method: str
    task: str
    metric: str
    published: float
    ours: Estimate | None
    seeds: int

    @property
    def agreement(self) -> Agreement:
        """How our score compares with the published one."""
        if self.ours is None:
            return Agreement.WAITING
        if self.seeds < SEEDS or self.ours.interval is None:
            return Agreement.UNSURE
        low, high = self.ours.interval
        if low <= 0 <= high:
            return Agreement.AGREES
        return Agreement.HIGHER if low > 0 else Agreement.LOWER


def comparable(run: RunResult, suite: Suite) -> bool:
    """Return whether a run has the backbone, protocol, budget and settings of its suite.

    Options of the command line can change them. The learning rate may differ.

    Args:
        run: A run of the suite.
        suite: The suite, as read from its file.
    """
    if run.spec.task not in suite.tasks or run.spec.protocol is not suite.protocol:
        return False
    entry, settings = suite.methods.get(run.spec.method.label), run.spec.method.settings
    if entry and any(
        settings.get(key) != value for key, value in entry.settings.items() if key != RATE
    ):
        return False
    ours, asked = run.spec.training, training_for(suite, run.spec.task)
    backbones = {name.rpartition("/")[2] for name in suite.models}
    return run.spec.model.rpartition("/")[2] in backbones and (ours.budget, ours.batch_size) == (
        asked.budget,
        asked.batch_size,
    )


def compare_scores(
    table: PublishedTable,
    results: Iterable[RunResult],
    *,
    suite: Suite | None,
    read: ReadPredictions,
) -> Iterator[ComparedScore]:
    """Yield every score of a table with ours.

    Args:
        table: The published table.
        results: Results; the comparable ones of the table's suite count.
        suite: The table's suite, as read from its file; None if it has none.
        read: Reads the predictions of a run.
    """
    ok = (run for run in results if run.status is Status.OK)
    runs = [r for r in ok if suite and r.suite == suite.name and comparable(r, suite)]
    for method, scores in table.rows.items():
        for task, score in scores.items():
            metric = table.metrics[task]
            ours = [run for run in runs if (run.spec.method.label, run.spec.task) == (method, task)]
            by_rate = group_by(ours, lambda run: str(run.spec.method.settings.get(RATE)))
            for rate, alike in (by_rate or {"": []}).items():
                name = f"{method}, {RATE}={rate}" if len(by_rate) > 1 else method
                found = _difference(alike, score / 100, metric, table.splits.get(task), read)
                seeds = len({run.spec.seed for run in alike})
                yield ComparedScore(name, task, metric, score, found, seeds)


def _difference(
    runs: Sequence[RunResult],
    published: float,
    metric: str,
    split: str | None,
    read: ReadPredictions,
) -> Estimate | None:
    values, terms = [], []
    for run in runs:
        chosen = split or next(iter(run.scores), "")
        value = run.scores.get(chosen, {}).get(metric)
        if value is None:
            return None
        values.append(value - published)
        stored = (read(run) or {}).get(chosen)
        found = influence(metric, stored.predictions, stored.references) if stored else None
        if found is not None:
            terms.append(found / len(found))
    if not values:
        return None
    sampling = np.mean(terms, axis=0) if len({len(t) for t in terms}) == 1 else None
    return estimate([TaskScores(np.array(values), sampling if len(terms) == len(values) else None)])
