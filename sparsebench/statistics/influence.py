"""What each example does to a score: the linear part of a metric, example by example.

A score of a set of examples is, but for terms that vanish with their number, its value plus the
mean of one influence an example (Hampel 1974; the infinitesimal jackknife of Efron 1982). The
variance of a score over samples of examples is then that of a mean, for correlations and F1 as for
accuracy; and because influences of two models on the same examples can be subtracted, a paired
comparison is as cheap. The tests hold them against the bootstrap.
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
class Smooth:
    """A metric that is smooth in the share of every kind of example.

    Attributes:
        filled: Answers as numbers, given with their references, a missing one filled in.
        value: The metric of answers and references, both ``[n]``.
        influence: The influence of every example ``[n]``, of mean 0.
    """

    filled: Callable[[Sequence[Any], Numbers], Sequence[float] | Numbers]
    value: Callable[[Numbers, Numbers], float]
    influence: Callable[[Numbers, Numbers], Numbers]


def arrays(
    metric: str, predictions: Sequence[Any], references: Sequence[Any]
) -> tuple[Numbers, Numbers] | None:
    """Returns answers and references as numbers.

    Args:
        metric: The metric's name.
        predictions: The answers, one an example; None where missing.
        references: The correct answers, one an example.

    Returns:
        None where the metric is not of ``SMOOTH``, or answers are not numbers.
    """
    if metric not in SMOOTH or not len(references):
        return None
    kinds = {*map(type, predictions), *map(type, references)}
    if not all(issubclass(kind, (Number, NoneType)) for kind in kinds):
        return None
    right = np.asarray(references, dtype=np.float64)
    return np.asarray(SMOOTH[metric].filled(predictions, right), dtype=np.float64), right


def influence(metric: str, predictions: Sequence[Any], references: Sequence[Any]) -> Numbers | None:
    """Returns the influence of every example on a metric; for arguments and None see ``arrays``."""
    pair = arrays(metric, predictions, references)
    return None if pair is None else SMOOTH[metric].influence(*pair)


def _accuracy(answers: Numbers, right: Numbers) -> float:
    return float((answers == right).mean())


def _accuracy_influence(answers: Numbers, right: Numbers) -> Numbers:
    correct = (answers == right).astype(np.float64)
    centred: Numbers = correct - correct.mean()
    return centred


def _f1(answers: Numbers, right: Numbers) -> float:
    whole = (answers + right).sum()
    return float(2 * (answers * right).sum() / whole) if whole else 0.0


def _f1_influence(answers: Numbers, right: Numbers) -> Numbers:
    hits, whole = 2 * answers * right, answers + right
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


def _spearman_influence(answers: Numbers, right: Numbers) -> Numbers:
    """An example moves its own pair of ranks, and the ranks of all that lie above it."""
    x, y = _Ranks(answers), _Ranks(right)
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
    """Values as the share of all that lies below them, half of their equals included."""

    def __init__(self, values: Numbers) -> None:
        _, self._place, counts = np.unique(values, return_inverse=True, return_counts=True)
        self._levels = len(counts)
        self.shares = ((np.cumsum(counts) - counts / 2) / len(values))[self._place]

    def mean_above(self, weights: Numbers) -> Numbers:
        """Returns, for each value, the mean of weights that count only where values are above."""
        sums = np.bincount(self._place, weights=weights, minlength=self._levels)
        above = sums[::-1].cumsum()[::-1] - sums / 2
        return (above / len(weights))[self._place]


def _as_classes(predictions: Sequence[Any], _: Numbers) -> Sequence[float]:
    return as_classes(predictions)


def _as_binary(predictions: Sequence[Any], references: Numbers) -> Sequence[float]:
    return as_binary(predictions, references.tolist())


SMOOTH: dict[str, Smooth] = {
    "accuracy": Smooth(_as_classes, _accuracy, _accuracy_influence),
    "f1": Smooth(_as_binary, _f1, _f1_influence),
    "matthews": Smooth(_as_binary, _correlation, _correlation_influence),
    "pearson": Smooth(as_numbers, _correlation, _correlation_influence),
    "spearman": Smooth(as_numbers, _spearman, _spearman_influence),
}
"""The metrics whose linear part is known, by the names of ``sparsebench.metrics``."""
