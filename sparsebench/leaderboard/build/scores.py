"""The statistics of a row: intervals from seeds and examples, and ranks."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sparsebench.results.predictions import examples_digest
from sparsebench.statistics import TaskScores, difference, estimate, influence, pairwise, standings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from sparsebench.leaderboard.board import Cell
    from sparsebench.results.predictions import Predictions
    from sparsebench.results.records import RunResult
    from sparsebench.statistics import Estimate, Standing

    ReadPredictions = Callable[[RunResult], dict[str, Predictions] | None]
    """Return the predictions of a run by split; None where they are not stored."""

SEEDS_TO_RANK = 2
"""Seeds that ranks require: with one, a better method and a lucky run look the same."""


@dataclass(frozen=True)
class PairableScores:
    """The scores of one row on one task, and the examples by which rows can be paired.

    Attributes:
        scores: The scores, and the influence of each example on their mean.
        examples: A hash of the examples; None where the predictions are not stored.
        constant: The seeds whose run predicts the same for all examples.
    """

    scores: TaskScores
    examples: str | None
    constant: tuple[int, ...] = ()


def pairable_scores(
    chosen: Mapping[int, RunResult | None], cell: Cell, read: ReadPredictions
) -> PairableScores:
    """Return the scores of a row on one task, with the influence of each example.

    Args:
        chosen: Seed -> the run that counts.
        cell: Its scores.
        read: Reads the predictions of a run.
    """
    runs = [run for seed, run in chosen.items() if run and seed in cell.scores]
    scores = np.array([cell.scores[run.spec.seed] for run in runs], dtype=np.float64)
    predictions = [read(run) for run in runs]
    pairs = list(zip(runs, predictions, strict=True))
    constant = tuple(run.spec.seed for run, found in pairs if found and _is_constant(found))
    influences = [_influences(run, found) for run, found in pairs]
    known = [found for found in influences if found is not None]
    examples = {found.examples for found in known}
    if len(known) < len(runs) or len(examples) != 1:
        return PairableScores(TaskScores(scores), None, constant)
    terms = np.mean([found.terms for found in known], axis=0)
    return PairableScores(TaskScores(scores, terms), examples.pop(), constant)


def _is_constant(predictions: Mapping[str, Predictions]) -> bool:
    """Return whether a run predicts the same for all examples of each split."""
    return all(
        len(split.predictions) > 1
        and all(value == split.predictions[0] for value in split.predictions)
        for split in predictions.values()
    )


@dataclass(frozen=True)
class _Influences:
    """The influence of each example on a run's headline score.

    Attributes:
        examples: A hash of the examples; runs are paired by example only if theirs are equal.
        terms: The influence of each example over the number of examples ``[n]``.
    """

    examples: str
    terms: NDArray[np.float64]


def _influences(
    result: RunResult, predictions: dict[str, Predictions] | None
) -> _Influences | None:
    """Return the influence of each example on a score.

    Args:
        result: A run with a score.
        predictions: The predictions of the run, by split.

    Returns:
        None if the predictions are not stored, if the headline score is neither the mean of the
        metrics of all splits nor one of them, or if a metric has no influence function.
    """
    metrics = headline_metrics(result)
    if not predictions or not metrics or predictions.keys() != result.scores.keys():
        return None
    terms = []
    for split in (predictions[name] for name in sorted(predictions)):
        influences = [influence(name, split.predictions, split.references) for name in metrics]
        known = [values for values in influences if values is not None]
        if len(known) < len(metrics):
            return None
        terms.append(np.mean(known, axis=0) / len(split.ids) / len(predictions))
    return _Influences(examples_digest(predictions), np.concatenate(terms))


def headline_metrics(result: RunResult) -> tuple[str, ...]:
    """Return the metrics whose mean over all splits is the headline score, if there are such."""
    splits = list(result.scores.values())
    if not splits or result.score is None:
        return ()
    names = tuple(sorted(splits[0]))
    for chosen in (names, *((name,) for name in names if name == result.headline_metric)):
        if not chosen or not all(name in split for split in splits for name in chosen):
            continue
        mean = statistics.fmean(split[name] for split in splits for name in chosen)
        if math.isclose(mean, result.score, rel_tol=1e-9, abs_tol=1e-12):
            return chosen
    return ()


def paired(rows: Sequence[Sequence[PairableScores]]) -> list[list[TaskScores]]:
    """Return the scores of rows task by task, with examples only where they can be paired.

    If the examples of a task differ between rows, or the predictions of one are not stored, they
    are left out for all rows.
    """
    asked = [{row[task].examples for row in rows} for task in range(len(rows[0]) if rows else 0)]
    unknown = {task for task, kinds in enumerate(asked) if len(kinds) > 1 or None in kinds}
    return [
        [
            replace(item.scores, sampling=None) if task in unknown else item.scores
            for task, item in enumerate(row)
        ]
        for row in rows
    ]


def difference_of(row: Sequence[PairableScores], dense: Sequence[PairableScores]) -> Estimate:
    """Return the mean difference of a row to the dense one, on the same tasks and seeds."""
    first, second = paired([row, dense])
    return estimate(difference(first, second))


def overall(row: Sequence[PairableScores]) -> Estimate:
    """Return the mean of a row over its tasks."""
    return estimate([item.scores for item in row])


def standings_of(rows: Sequence[Sequence[PairableScores]], *, seeds: int) -> list[Standing] | None:
    """Return the rank of each row; None with too few seeds.

    Args:
        rows: Rows with a score for every task and seed.
        seeds: The number of seeds.
    """
    if seeds < SEEDS_TO_RANK or not rows:
        return None
    scores = paired(rows)
    means = [float(np.mean([task.scores.mean() for task in row])) for row in scores]
    return standings(means, pairwise(scores))
