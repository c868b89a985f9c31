"""The influence of each example on a score: the linear part of a metric.

To first order, the score of a sample of examples is the true score plus the mean of the influences
of the examples (Hampel 1974; the infinitesimal jackknife of Efron 1982). So the variance of a score
over samples is that of a mean, for correlations and F1 as for accuracy. The influences of two
models on the same examples can be subtracted, which makes a paired comparison equally cheap. The
tests compare them with the bootstrap.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Number
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsebench.metrics.missing import as_binary, as_classes, as_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class SmoothMetric:
    """A metric that has an influence function.

    Attributes:
        filled: Converts predictions to numbers, given the references; replaces missing ones.
        value: The metric of predictions and references, both ``[n]``.
        influence: The influence of each example ``[n]``, with mean 0.
    """

    filled: Callable[[Sequence[Any], Numbers], Sequence[float] | Numbers]
    value: Callable[[Numbers, Numbers], float]
    influence: Callable[[Numbers, Numbers], Numbers]


def as_arrays(
    metric: str, predictions: Sequence[Any], references: Sequence[Any]
) -> tuple[Numbers, Numbers] | None:
    """Return predictions and references as arrays ``[n]``.

    Args:
        metric: The name of the metric.
        predictions: One prediction per example; None where missing.
        references: One reference per example.

    Returns:
        None if the metric has no influence function or the values are not numbers.
    """
    if metric not in SMOOTH_METRICS or not len(references):
        return None
    kinds = {*map(type, predictions), *map(type, references)}
    if not all(issubclass(kind, (Number, NoneType)) for kind in kinds):
        return None
    right = np.asarray(references, dtype=np.float64)
    return np.asarray(SMOOTH_METRICS[metric].filled(predictions, right), dtype=np.float64), right


def influence(metric: str, predictions: Sequence[Any], references: Sequence[Any]) -> Numbers | None:
    """Return the influence of each example on a metric ``[n]``, or None as in ``as_arrays``."""
    pair = as_arrays(metric, predictions, references)
    return None if pair is None else SMOOTH_METRICS[metric].influence(*pair)


def _accuracy(predicted: Numbers, right: Numbers) -> float:
    return float((predicted == right).mean())


def _accuracy_influence(predicted: Numbers, right: Numbers) -> Numbers:
    correct = (predicted == right).astype(np.float64)
    centred: Numbers = correct - correct.mean()
    return centred


def _f1(predicted: Numbers, right: Numbers) -> float:
    whole = (predicted + right).sum()
    return float(2 * (predicted * right).sum() / whole) if whole else 0.0


def _f1_influence(predicted: Numbers, right: Numbers) -> Numbers:
    hits, whole = 2 * predicted * right, predicted + right
    if not whole.any():
        return np.zeros(len(right))
    influences: Numbers = (hits - hits.mean() / whole.mean() * whole) / whole.mean()
    return influences


def _correlation(x: Numbers, y: Numbers) -> float:
    u, v = _standard(x), _standard(y)
    return 0.0 if u is None or v is None else float((u * v).mean())


def _correlation_influence(x: Numbers, y: Numbers) -> Numbers:
    u, v = _standard(x), _standard(y)
    if u is None or v is None:
        return np.zeros(len(x))
    influences: Numbers = u * v - (u * v).mean() / 2 * (u**2 + v**2)
    return influences


def _spearman(x: Numbers, y: Numbers) -> float:
    return _correlation(_Ranks(x).shares, _Ranks(y).shares)


def _spearman_influence(predicted: Numbers, right: Numbers) -> Numbers:
    """Add the influence of an example through its own ranks and through all ranks above it."""
    x, y = _Ranks(predicted), _Ranks(right)
    u, v = _standard(x.shares), _standard(y.shares)
    if u is None or v is None:
        return np.zeros(len(right))
    score = float((u * v).mean())
    own = u * v - score / 2 * (u**2 + v**2)
    moved_x = x.mean_above((v - score * u) / x.shares.std())
    moved_y = y.mean_above((u - score * v) / y.shares.std())
    moved = own + moved_x + moved_y
    centred: Numbers = moved - moved.mean()
    return centred


def _standard(values: Numbers) -> Numbers | None:
    deviation = values.std()
    return (values - values.mean()) / deviation if deviation > 0 else None


class _Ranks:
    """Fractional ranks in [0, 1]: the share of smaller values plus half of the equal ones."""

    def __init__(self, values: Numbers) -> None:
        _, self._place, counts = np.unique(values, return_inverse=True, return_counts=True)
        self._levels = len(counts)
        self.shares = ((np.cumsum(counts) - counts / 2) / len(values))[self._place]

    def mean_above(self, weights: Numbers) -> Numbers:
        """Return for each value the mean over all of the weights of the larger values ``[n]``."""
        sums = np.bincount(self._place, weights=weights, minlength=self._levels)
        above = sums[::-1].cumsum()[::-1] - sums / 2
        return (above / len(weights))[self._place]


def _as_classes(predictions: Sequence[Any], _: Numbers) -> Sequence[float]:
    return as_classes(predictions)


def _as_binary(predictions: Sequence[Any], references: Numbers) -> Sequence[float]:
    return as_binary(predictions, references.tolist())


SMOOTH_METRICS: dict[str, SmoothMetric] = {
    "accuracy": SmoothMetric(_as_classes, _accuracy, _accuracy_influence),
    "f1": SmoothMetric(_as_binary, _f1, _f1_influence),
    "matthews": SmoothMetric(_as_binary, _correlation, _correlation_influence),
    "pearson": SmoothMetric(as_numbers, _correlation, _correlation_influence),
    "spearman": SmoothMetric(as_numbers, _spearman, _spearman_influence),
}
"""The metrics with an influence function, by their names in ``sparsebench.metrics``."""
