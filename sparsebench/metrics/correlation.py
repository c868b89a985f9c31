"""Metrics over numbers: Pearson and Spearman correlation, by SciPy.

A missing answer, or one that is not finite, counts as the furthest label.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from sparsebench.metrics.base import InMemoryMetric
from sparsebench.metrics.missing import as_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]


class Pearson(InMemoryMetric):
    """The linear correlation of answers and references, from -1 to 1.

    It is 0 where all answers, or all references, are the same: then it is not defined.
    """

    summary = "The linear correlation of answers and references."
    paper = "Cer et al. 2017, SemEval-2017 task 1, arXiv:1708.00055"
    dtype = "float64"

    def _compute(
        self, predictions: Sequence[float | None], references: Sequence[float]
    ) -> dict[str, float]:
        return {"pearson": _correlation(stats.pearsonr, predictions, references)}


class Spearman(InMemoryMetric):
    """The linear correlation of the ranks of answers and references; equal ones share a rank.

    It is 0 where all answers, or all references, are the same: then it is not defined.
    """

    summary = "The linear correlation of the ranks of answers and references."
    paper = "Wang et al. 2019, GLUE, arXiv:1804.07461"
    dtype = "float64"

    def _compute(
        self, predictions: Sequence[float | None], references: Sequence[float]
    ) -> dict[str, float]:
        return {"spearman": _correlation(stats.spearmanr, predictions, references)}


def _correlation(
    test: Callable[[Numbers, Numbers], Any],
    predictions: Sequence[float | None],
    references: Sequence[float],
) -> float:
    right = np.asarray(references, dtype=np.float64)
    answers = as_numbers(predictions, right)
    if np.ptp(answers) == 0 or np.ptp(right) == 0:
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=stats.NearConstantInputWarning)
        value = float(test(answers, right).statistic)
    return value if np.isfinite(value) else 0.0
