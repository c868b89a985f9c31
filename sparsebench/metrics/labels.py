"""Metrics of classes and numbers, by scikit-learn and SciPy.

A missing prediction counts as the one that is furthest from the reference.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from sparsebench.metrics.base import InMemoryMetric
from sparsebench.metrics.missing import as_binary, as_classes, as_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]


class Accuracy(InMemoryMetric):
    """The share of correct predictions; a missing or invalid class is incorrect."""

    summary = "The share of correct predictions."
    paper = "Wang et al. 2019, GLUE, arXiv:1804.07461"
    dtype = "int64"

    def _compute(
        self, predictions: Sequence[int | None], references: Sequence[int]
    ) -> dict[str, float]:
        return {"accuracy": accuracy_score(references, as_classes(predictions))}


class F1(InMemoryMetric):
    """The harmonic mean of precision and recall of class 1, among the classes 0 and 1.

    It is 0 if class 1 is neither predicted nor a reference. A prediction that is neither 0 nor 1
    counts as the wrong one of the two.
    """

    summary = "The harmonic mean of precision and recall of class 1."
    paper = "Wang et al. 2019, GLUE, arXiv:1804.07461"
    dtype = "int64"

    def _compute(
        self, predictions: Sequence[int | None], references: Sequence[int]
    ) -> dict[str, float]:
        classes = as_binary(predictions, references)
        return {"f1": f1_score(references, classes, zero_division=0.0)}


class Matthews(InMemoryMetric):
    """The correlation of two binary variables, from -1 to 1 (Matthews 1975).

    It is 0 if all predictions, or all references, are equal. A prediction that is neither 0 nor 1
    counts as the wrong one of the two.
    """

    summary = "The correlation of two binary variables."
    paper = "Matthews 1975, Biochimica et Biophysica Acta 405(2):442-451"
    dtype = "int64"

    def _compute(
        self, predictions: Sequence[int | None], references: Sequence[int]
    ) -> dict[str, float]:
        classes = as_binary(predictions, references)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="A single label was found")
            return {"matthews": matthews_corrcoef(references, classes)}


class Pearson(InMemoryMetric):
    """The linear correlation of predictions and references, from -1 to 1.

    It is 0 if all predictions, or all references, are equal: then it is not defined.
    """

    summary = "The linear correlation of predictions and references."
    paper = "Cer et al. 2017, SemEval-2017 task 1, arXiv:1708.00055"
    dtype = "float64"

    def _compute(
        self, predictions: Sequence[float | None], references: Sequence[float]
    ) -> dict[str, float]:
        return {"pearson": _correlation(stats.pearsonr, predictions, references)}


class Spearman(InMemoryMetric):
    """The linear correlation of the ranks of predictions and references; ties share a rank.

    It is 0 if all predictions, or all references, are equal: then it is not defined.
    """

    summary = "The linear correlation of the ranks of predictions and references."
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
    numbers = as_numbers(predictions, right)
    if np.ptp(numbers) == 0 or np.ptp(right) == 0:
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=stats.NearConstantInputWarning)
        value = float(test(numbers, right).statistic)
    return value if np.isfinite(value) else 0.0
