"""The score of each task's majority class, from the references of its runs."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sparsebench.leaderboard.build.rows import belongs
from sparsebench.leaderboard.build.scores import headline_metrics
from sparsebench.statistics import SMOOTH_METRICS, as_arrays

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sparsebench.leaderboard.board import Column
    from sparsebench.leaderboard.build.scores import ReadPredictions
    from sparsebench.results.predictions import Predictions
    from sparsebench.results.records import RunResult

_OF_NUMBERS = frozenset({"pearson", "spearman"})
"""The metrics of tasks whose labels are numbers."""


def with_baselines(
    columns: Iterable[Column], results: Sequence[RunResult], read: ReadPredictions
) -> list[Column]:
    """Return the columns with the scores of their majority classes, where these are known.

    Args:
        columns: The tasks of a group.
        results: The runs of the group.
        read: Reads the predictions of a run, and with them the references.
    """
    return [replace(column, baseline=_baseline(column, results, read)) for column in columns]


def _baseline(column: Column, results: Sequence[RunResult], read: ReadPredictions) -> float | None:
    for run in results:
        if not belongs(run, column) or not (metrics := headline_metrics(run)):
            continue
        if predictions := read(run):
            return _majority_score(predictions, metrics)
    return None


def _majority_score(predictions: Mapping[str, Predictions], metrics: Sequence[str]) -> float | None:
    """Return the headline score of the most frequent label of each split, or of the mean number.

    Returns:
        None if the references are no labels.
    """
    scores = []
    for split in predictions.values():
        for name in metrics:
            value = _constant_score(name, split.references)
            if value is None:
                return None
            scores.append(value)
    return statistics.fmean(scores)


def _constant_score(metric: str, references: Sequence[Any]) -> float | None:
    if metric in _OF_NUMBERS:
        return 0.0  # a constant correlates with nothing
    try:
        (label, _), *_ = Counter(references).most_common(1)
    except (TypeError, ValueError):  # texts in lists, or no reference at all
        return None
    pair = as_arrays(metric, [label] * len(references), references)
    return None if pair is None else SMOOTH_METRICS[metric].value(*pair)
