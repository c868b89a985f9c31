"""Paired tests of two trained models, and ranks of methods by significant differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

LEVEL = 0.05
"""The significance level: the probability that a leaderboard reports any false difference."""

RESAMPLES = 2000
"""Number of bootstrap samples."""

_SEED = 20_211_105


@dataclass(frozen=True)
class PairedTest:
    """The result of a paired test of two trained models.

    Attributes:
        name: The name of the test.
        p_value: The probability of a difference at least as large between equally good models.
    """

    name: str
    p_value: float


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> PairedTest:
    """Test two models on the examples that exactly one of them gets right (McNemar 1947).

    The test is the exact one, by the binomial distribution.

    Args:
        first: Whether the first model is right, for each example ``[n]``.
        second: Whether the second model is right, for each example ``[n]``.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    fewer, both = min(only_first, only_second), only_first + only_second
    tail = float(special.bdtr(fewer, both, 0.5)) if both else 1.0
    return PairedTest("McNemar", min(1.0, 2 * tail))


def bootstrap_test(
    score: Callable[[NDArray[np.intp]], tuple[float, float]], examples: int
) -> PairedTest:
    """Test two models on samples of their common examples, drawn with replacement.

    The p-value is the share of samples whose difference deviates from the observed one by at least
    as much as the observed one deviates from 0 (Efron & Tibshirani 1993, section 16.4); it is at
    least ``1 / (RESAMPLES + 1)``.

    Args:
        score: Returns the scores of both models on the examples with the given indices.
        examples: The number of examples.
    """
    generator = np.random.default_rng(_SEED)
    first, second = score(np.arange(examples))
    observed = first - second
    far = 0
    for _ in range(RESAMPLES):
        one, other = score(generator.integers(0, examples, size=examples))
        far += abs((one - other) - observed) >= abs(observed)
    return PairedTest("paired bootstrap", (far + 1) / (RESAMPLES + 1))


@dataclass(frozen=True)
class Standing:
    """The rank of a method among others.

    Attributes:
        better: The indices of the methods that are significantly better.
        alone: Whether it differs significantly from every other method.
    """

    better: tuple[int, ...]
    alone: bool

    @property
    def rank(self) -> int:
        """1 plus the number of methods that are significantly better."""
        return 1 + len(self.better)


def holm(p_values: Numbers) -> Numbers:
    """Correct p-values for multiple tests by Holm (1979).

    With ``LEVEL`` as the threshold, the probability of any false rejection is at most ``LEVEL``,
    however the tests depend on each other.

    Args:
        p_values: One p-value per hypothesis ``[m]``.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return corrected


def standings(values: Sequence[float], p_values: Numbers) -> list[Standing]:
    """Rank methods; methods without a statistically significant difference can share a rank.

    Args:
        values: The mean score of each method ``[M]``; higher is better.
        p_values: The uncorrected p-value of the difference of every two methods ``[M, M]``.
    """
    means = np.asarray(values, dtype=np.float64)
    count = len(means)
    above = np.triu_indices(count, k=1)
    differs = np.zeros((count, count), dtype=bool)
    differs[above] = holm(p_values[above]) <= LEVEL
    differs |= differs.T
    better = differs & (means[None] > means[:, None])
    return [
        Standing(
            better=tuple(np.flatnonzero(better[at]).tolist()),
            alone=int(differs[at].sum()) == count - 1 > 0,
        )
        for at in range(count)
    ]
