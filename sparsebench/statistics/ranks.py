"""Which methods are separated from which, and the ranks that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

LEVEL = 0.05
"""The chance that a leaderboard separates any two methods that are equally good."""


@dataclass(frozen=True)
class Standing:
    """Where a method stands among the others.

    Attributes:
        better: The places of the methods that are better and separated from it.
        alone: Whether it is separated from every other method.
    """

    better: tuple[int, ...]
    alone: bool

    @property
    def rank(self) -> int:
        """1 plus the number of methods that are better and separated from it."""
        return 1 + len(self.better)


def holm(p_values: Numbers) -> Numbers:
    """Returns p-values that are corrected for their number, by Holm (1979).

    Rejecting all that are at most ``LEVEL`` is wrong about any true hypothesis with at most that
    chance, however the tests depend on each other.

    Args:
        p_values: One a hypothesis ``[m]``.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return corrected


def standings(values: Sequence[float], p_values: Numbers) -> list[Standing]:
    """Returns the standing of every method; those that cannot be separated share a rank.

    Args:
        values: The mean of each method; the higher the better.
        p_values: The p-value of the difference of every two methods ``[M, M]``, not corrected.
    """
    means = np.asarray(values, dtype=np.float64)
    count = len(means)
    above = np.triu_indices(count, k=1)
    separated = np.zeros((count, count), dtype=bool)
    separated[above] = holm(p_values[above]) <= LEVEL
    separated |= separated.T
    better = separated & (means[None] > means[:, None])
    return [
        Standing(
            better=tuple(np.flatnonzero(better[at]).tolist()),
            alone=int(separated[at].sum()) == count - 1 > 0,
        )
        for at in range(count)
    ]
