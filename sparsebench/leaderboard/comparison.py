"""Compare two methods: difference, confidence interval, paired tests, detectable difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sparsebench.errors import UnknownNameError, UserError
from sparsebench.leaderboard.build import grouped
from sparsebench.leaderboard.build.rows import cell_of, chosen_runs, columns_of, rows_of
from sparsebench.leaderboard.build.scores import (
    PairableScores,
    headline_metrics,
    pairable_scores,
    paired,
)
from sparsebench.statistics import (
    SMOOTH_METRICS,
    as_arrays,
    bootstrap_test,
    difference,
    estimate,
    mcnemar,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from sparsebench.leaderboard.board import Column
    from sparsebench.leaderboard.build.rows import RowRuns
    from sparsebench.leaderboard.build.scores import ReadPredictions
    from sparsebench.results.predictions import Predictions
    from sparsebench.results.records import RunResult
    from sparsebench.statistics import Estimate, PairedTest, TaskScores

    Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class SeedTest:
    """Two trained models on the same examples.

    Attributes:
        seed: The seed of both.
        difference: The score of the first minus that of the second.
        test: McNemar's test for accuracy, the paired bootstrap for other metrics; None if the
            predictions are not stored or are of different examples.
    """

    seed: int
    difference: float
    test: PairedTest | None


@dataclass(frozen=True)
class TaskComparison:
    """Two methods on one task.

    Attributes:
        task: The name of the column.
        first: The mean of the first over the seeds that both have.
        second: The mean of the second.
        difference: The first minus the second.
        tests: One per seed.
    """

    task: str
    first: float
    second: float
    difference: Estimate
    tests: tuple[SeedTest, ...]


@dataclass(frozen=True)
class Comparison:
    """Two methods with one backbone under one protocol.

    Attributes:
        group: The heading of the group in the leaderboard.
        tasks: The tasks on which both have a score for a seed.
        overall: The mean difference over these tasks; None if their numbers of seeds differ.
        left_out: Tasks of the group that cannot be compared.
    """

    group: str
    tasks: tuple[TaskComparison, ...]
    overall: Estimate | None
    left_out: tuple[str, ...]


def compare(
    results: Iterable[RunResult], first: str, second: str, *, read: ReadPredictions
) -> list[Comparison]:
    """Compare two methods in every group that has both.

    Args:
        results: The results.
        first: The name of a row: a method's label, numbered where several rows share it.
        second: The name of another row.
        read: Reads the predictions of a run.

    Raises:
        UnknownNameError: No group has a row with one of the names.
        UserError: The names are equal, or the methods share no task and seed.
    """
    groups = [
        (f"{name} · protocol {members[0].spec.protocol}", members, rows_of(members))
        for name, members in grouped(results)
    ]
    if first == second:
        raise UserError(f"{first} is compared with itself: name two methods")
    known = {row.name for _, _, rows in groups for row in rows}
    for name in (first, second):
        if name not in known:
            raise UnknownNameError("method", name, known=known)
    found = []
    for group, members, rows in groups:
        pair = [row for wanted in (first, second) for row in rows if row.name == wanted]
        if len(pair) == 2:  # noqa: PLR2004 - both
            found.append(_compare(group, pair, columns=columns_of(members), read=read))
    if not any(comparison.tasks for comparison in found):
        raise UserError(f"{first} and {second} have no task and seed in common")
    return found


def _compare(
    group: str, rows: Sequence[RowRuns], *, columns: Sequence[Column], read: ReadPredictions
) -> Comparison:
    tasks, differences, left_out = [], list[list["TaskScores"]](), []
    for column in columns:
        runs = _shared(rows, column)
        if not runs:
            left_out.append(column.name)
            continue
        sides = [_pairable_scores(side, read) for side in zip(*runs, strict=True)]
        one, other = paired([[side] for side in sides])
        differences.append(difference(one, other))
        tasks.append(
            TaskComparison(
                task=column.name,
                first=float(one[0].scores.mean()),
                second=float(other[0].scores.mean()),
                difference=estimate(differences[-1]),
                tests=tuple(_seed_tests(runs, read)),
            )
        )
    same_seeds = len({len(task.scores) for (task,) in differences}) == 1
    overall = estimate([task for (task,) in differences]) if same_seeds else None
    return Comparison(group, tuple(tasks), overall, tuple(left_out))


def _shared(rows: Sequence[RowRuns], column: Column) -> list[tuple[RunResult, RunResult]]:
    """Return the runs of both rows for every seed for which both have a score."""
    seeds = sorted({run.spec.seed for row in rows for run in row.runs})
    chosen = [chosen_runs(row.runs, column=column, seeds=seeds) for row in rows]
    cells = [cell_of(runs) for runs in chosen]
    return [
        (one, other)
        for seed in seeds
        if all(seed in cell.scores for cell in cells)
        and (one := chosen[0][seed])
        and (other := chosen[1][seed])
    ]


def _pairable_scores(runs: Sequence[RunResult], read: ReadPredictions) -> PairableScores:
    chosen = {run.spec.seed: run for run in runs}
    return pairable_scores(chosen, cell_of(chosen), read)


def _seed_tests(
    runs: Sequence[tuple[RunResult, RunResult]], read: ReadPredictions
) -> Iterator[SeedTest]:
    for one, other in runs:
        by_score = (one.score or 0.0) - (other.score or 0.0)
        yield SeedTest(one.spec.seed, by_score, _paired_test(one, other, read))


def _paired_test(one: RunResult, other: RunResult, read: ReadPredictions) -> PairedTest | None:
    metrics, predictions = headline_metrics(one), (read(one), read(other))
    if not metrics or predictions[0] is None or predictions[1] is None:
        return None
    if _examples(predictions[0]) != _examples(predictions[1]):
        return None
    sides = [_numbers(metrics, side) for side in predictions if side is not None]
    if any(side is None for side in sides):
        return None
    scores = [_Scored(metrics, side) for side in sides if side is not None]
    if metrics == ("accuracy",):
        return mcnemar(scores[0].correct, scores[1].correct)
    examples = len(scores[0].correct)
    return bootstrap_test(lambda at: (scores[0](at), scores[1](at)), examples)


def _examples(
    predictions: dict[str, Predictions],
) -> list[tuple[str, tuple[str, ...], tuple[object, ...]]]:
    return [(split, stored.ids, stored.references) for split, stored in sorted(predictions.items())]


Split = dict[str, "tuple[Numbers, Numbers]"]
"""Metric -> predictions and references, as numbers ``[n]``."""


def _numbers(metrics: Sequence[str], predictions: dict[str, Predictions]) -> list[Split] | None:
    splits = []
    for _, stored in sorted(predictions.items()):
        pairs = {name: as_arrays(name, stored.predictions, stored.references) for name in metrics}
        known = {name: pair for name, pair in pairs.items() if pair is not None}
        if len(known) < len(pairs):
            return None
        splits.append(known)
    return splits


class _Scored:
    """The headline score of one model on any of its examples, numbered through all splits."""

    def __init__(self, metrics: Sequence[str], splits: Sequence[Split]) -> None:
        self._metrics, self._splits = metrics, splits
        sizes = [len(split[metrics[0]][0]) for split in splits]
        self._bounds = np.cumsum([0, *sizes])
        self.correct = np.concatenate([np.equal(*split[metrics[0]]) for split in splits])

    def __call__(self, at: NDArray[np.intp]) -> float:
        values = []
        for place, split in enumerate(self._splits):
            low, high = self._bounds[place : place + 2]
            inside = at[(at >= low) & (at < high)] - low
            for name in self._metrics:
                predictions, references = split[name]
                values.append(SMOOTH_METRICS[name].value(predictions[inside], references[inside]))
        return float(np.mean(values))
