"""Metrics over class indices: accuracy, F1 and Matthews correlation, by scikit-learn."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from sparsebench.metrics.base import InMemoryMetric
from sparsebench.metrics.missing import as_binary, as_classes

if TYPE_CHECKING:
    from collections.abc import Sequence


class Accuracy(InMemoryMetric):
    """The share of correct answers; one that is missing or no class at all is incorrect."""

    summary = "The share of correct answers."
    paper = "Wang et al. 2019, GLUE, arXiv:1804.07461"
    dtype = "int64"

    def _compute(
        self, predictions: Sequence[int | None], references: Sequence[int]
    ) -> dict[str, float]:
        return {"accuracy": accuracy_score(references, as_classes(predictions))}


class F1(InMemoryMetric):
    """The harmonic mean of precision and recall of class 1, among the classes 0 and 1.

    It is 0 where there is neither a right nor a wrong answer of class 1. An answer that is
    neither 0 nor 1 counts as the wrong one of the two.
    """

    summary = "The harmonic mean of precision and recall of class 1."
    paper = "Wang et al. 2019, GLUE, arXiv:1804.07461"
    dtype = "int64"

    def _compute(
        self, predictions: Sequence[int | None], references: Sequence[int]
    ) -> dict[str, float]:
        answers = as_binary(predictions, references)
        return {"f1": f1_score(references, answers, zero_division=0.0)}


class Matthews(InMemoryMetric):
    """The correlation of two binary variables, from -1 to 1 (Matthews 1975).

    It is 0 where all answers, or all references, are the same. An answer that is neither 0 nor 1
    counts as the wrong one of the two.
    """

    summary = "The correlation of two binary variables."
    paper = "Matthews 1975, Biochimica et Biophysica Acta 405(2):442-451"
    dtype = "int64"

    def _compute(
        self, predictions: Sequence[int | None], references: Sequence[int]
    ) -> dict[str, float]:
        answers = as_binary(predictions, references)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="A single label was found")
            return {"matthews": matthews_corrcoef(references, answers)}
