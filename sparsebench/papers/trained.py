"""Holds published scores against results that are there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from sparsebench.leaderboard.run_terms import group_by
from sparsebench.results.records import Status
from sparsebench.statistics import Panel, estimate, influence
from sparsebench.suite import training_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sparsebench.leaderboard.sampling import ReadPredictions
    from sparsebench.papers.schema import PublishedTable
    from sparsebench.results.records import RunResult
    from sparsebench.statistics import Estimate
    from sparsebench.suite import Suite

RATE = "learning_rate"
"""The setting that a suite's user may choose."""

SEEDS = 2
"""Seeds that an interval over runs takes."""


class Verdict(StrEnum):
    """How a published score and ours compare."""

    AGREES = "not separated"
    """The published score is in our 95 % interval."""

    HIGHER = "ours is higher"
    """Ours is higher by more than chance explains."""

    LOWER = "ours is lower"
    """Ours is lower by more than chance explains."""

    UNSURE = "one seed"
    """Ours has no interval."""

    WAITING = "waiting"
    """There is no result."""


@dataclass(frozen=True)
class Held:
    """A published score and ours.

    Attributes:
        method: The label of the method; with its learning rate where there are several.
        task: The task.
        metric: The metric that the paper shows.
        published: The published score.
        ours: Ours less the published one, as shares; None where there is no result.
        seeds: The number of our seeds.
    """

    method: str
    task: str
    metric: str
    published: float
    ours: Estimate | None
    seeds: int

    @property
    def verdict(self) -> Verdict:
        """How they compare."""
        if self.ours is None:
            return Verdict.WAITING
        if self.seeds < SEEDS or self.ours.interval is None:
            return Verdict.UNSURE
        low, high = self.ours.interval
        if low <= 0 <= high:
            return Verdict.AGREES
        return Verdict.HIGHER if low > 0 else Verdict.LOWER


def comparable(run: RunResult, suite: Suite) -> bool:
    """Whether a run of a suite was made with its backbone, protocol, budget and settings.

    A run of the suite may not have been: options of the command line change them. Another learning
    rate is no other method.

    Args:
        run: A run of the suite.
        suite: The suite as it stands in its file.
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


def hold(
    table: PublishedTable,
    results: Iterable[RunResult],
    *,
    suite: Suite | None,
    read: ReadPredictions,
) -> Iterator[Held]:
    """Yields every score of a table beside ours.

    Args:
        table: The published table.
        results: Results; those of the table's suite count that are comparable.
        suite: The table's suite as it stands in its file; None where it has none.
        read: Reads the predictions of a run.
    """
    made = (run for run in results if run.status is Status.OK)
    runs = [r for r in made if suite and r.suite == suite.name and comparable(r, suite)]
    for method, scores in table.rows.items():
        for task, score in scores.items():
            metric = table.metrics[task]
            ours = [run for run in runs if (run.spec.method.label, run.spec.task) == (method, task)]
            by_rate = group_by(ours, lambda run: str(run.spec.method.settings.get(RATE)))
            for rate, alike in (by_rate or {"": []}).items():
                name = f"{method}, {RATE}={rate}" if len(by_rate) > 1 else method
                found = _difference(alike, score / 100, metric, table.splits.get(task), read)
                seeds = len({run.spec.seed for run in alike})
                yield Held(name, task, metric, score, found, seeds)


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
        told = (read(run) or {}).get(chosen)
        found = influence(metric, told.predictions, told.references) if told else None
        if found is not None:
            terms.append(found / len(found))
    if not values:
        return None
    sampling = np.mean(terms, axis=0) if len({len(t) for t in terms}) == 1 else None
    return estimate([Panel(np.array(values), sampling if len(terms) == len(values) else None)])
