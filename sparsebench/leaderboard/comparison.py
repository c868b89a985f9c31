"""Two methods against each other: the difference, how sure it is, and what could be found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sparsebench.errors import UnknownNameError, UserError
from sparsebench.leaderboard.build import grouped
from sparsebench.leaderboard.cells import cell_of, chosen_runs
from sparsebench.leaderboard.rows import columns_of, rows_of
from sparsebench.leaderboard.sampling import headline_metrics
from sparsebench.leaderboard.scores import Measured, measured, paired
from sparsebench.statistics import (
    SMOOTH,
    arrays,
    bootstrap_test,
    difference,
    estimate,
    mcnemar,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from sparsebench.leaderboard.rows import RowRuns
    from sparsebench.leaderboard.sampling import ReadPredictions
    from sparsebench.leaderboard.table import Column
    from sparsebench.results.predictions import Predictions
    from sparsebench.results.records import RunResult
    from sparsebench.statistics import Estimate, PairedTest, Panel

    Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class SeedTest:
    """Two trained models on the same examples.

    Attributes:
        seed: The seed of both.
        difference: The score of the first less that of the second.
        test: McNemar's test for accuracy, the paired bootstrap for others; None where the
            predictions are not known or were not of the same examples.
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
        difference: The first less the second.
        tests: One a seed.
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
        group: What the leaderboard calls the group.
        tasks: The tasks on which both have a score for a seed.
        overall: The mean difference over these tasks; None where they do not share the same seeds.
        left_out: Tasks of the group that cannot be compared.
    """

    group: str
    tasks: tuple[TaskComparison, ...]
    overall: Estimate | None
    left_out: tuple[str, ...]


def compare(
    results: Iterable[RunResult], first: str, second: str, *, read: ReadPredictions
) -> list[Comparison]:
    """Compares two methods in every group that has both.

    Args:
        results: The results.
        first: The name of a row: a method's label, numbered where several rows share it.
        second: The name of another.
        read: Reads the predictions of a run.

    Raises:
        UnknownNameError: No group has a row of a name.
        UserError: No group has both, or they have no run in common.
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
    tasks, panels, left_out = [], list[list["Panel"]](), []
    for column in columns:
        runs = _shared(rows, column)
        if not runs:
            left_out.append(column.name)
            continue
        sides = [_measured(side, read) for side in zip(*runs, strict=True)]
        one, other = ([panel] for (panel,) in paired([[side] for side in sides]))
        panels.append(difference(one, other))
        tasks.append(
            TaskComparison(
                task=column.name,
                first=float(one[0].scores.mean()),
                second=float(other[0].scores.mean()),
                difference=estimate(panels[-1]),
                tests=tuple(_seed_tests(runs, read)),
            )
        )
    alike = len({len(panel.scores) for (panel,) in panels}) == 1
    overall = estimate([panel for (panel,) in panels]) if alike else None
    return Comparison(group, tuple(tasks), overall, tuple(left_out))


def _shared(rows: Sequence[RowRuns], column: Column) -> list[tuple[RunResult, RunResult]]:
    """Returns the runs of both rows for every seed for which both have a score."""
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


def _measured(runs: Sequence[RunResult], read: ReadPredictions) -> Measured:
    chosen = {run.spec.seed: run for run in runs}
    return measured(chosen, cell_of(chosen), read)


def _seed_tests(
    runs: Sequence[tuple[RunResult, RunResult]], read: ReadPredictions
) -> Iterator[SeedTest]:
    for one, other in runs:
        apart = (one.score or 0.0) - (other.score or 0.0)
        yield SeedTest(one.spec.seed, apart, _paired_test(one, other, read))


def _paired_test(one: RunResult, other: RunResult, read: ReadPredictions) -> PairedTest | None:
    metrics, answers = headline_metrics(one), (read(one), read(other))
    if not metrics or answers[0] is None or answers[1] is None:
        return None
    if _asked(answers[0]) != _asked(answers[1]):
        return None
    sides = [_numbers(metrics, told) for told in answers if told is not None]
    if any(side is None for side in sides):
        return None
    scores = [_Scored(metrics, side) for side in sides if side is not None]
    if metrics == ("accuracy",):
        return mcnemar(scores[0].correct, scores[1].correct)
    examples = len(scores[0].correct)
    return bootstrap_test(lambda at: (scores[0](at), scores[1](at)), examples)


def _asked(
    answers: dict[str, Predictions],
) -> list[tuple[str, tuple[str, ...], tuple[object, ...]]]:
    return [(split, told.ids, told.references) for split, told in sorted(answers.items())]


Split = dict[str, "tuple[Numbers, Numbers]"]
"""Metric -> answers and references, as the metric takes them."""


def _numbers(metrics: Sequence[str], answers: dict[str, Predictions]) -> list[Split] | None:
    splits = []
    for _, told in sorted(answers.items()):
        pairs = {name: arrays(name, told.predictions, told.references) for name in metrics}
        known = {name: pair for name, pair in pairs.items() if pair is not None}
        if len(known) < len(pairs):
            return None
        splits.append(known)
    return splits


class _Scored:
    """The headline score of one model on any examples, counted through its splits."""

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
                answers, right = split[name]
                values.append(SMOOTH[name].value(answers[inside], right[inside]))
        return float(np.mean(values))
