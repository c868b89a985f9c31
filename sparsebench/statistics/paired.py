"""Tests of two trained models on the same examples: McNemar's, and the paired bootstrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

RESAMPLES = 2000
"""Samples of examples that a bootstrap draws."""

_SEED = 20_211_105


@dataclass(frozen=True)
class PairedTest:
    """A test of one trained model against another.

    Attributes:
        name: What was tested by.
        p_value: The chance of a difference as large if the two were equally good.
    """

    name: str
    p_value: float


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> PairedTest:
    """Tests two models by the examples that just one of them gets right (McNemar 1947).

    The test is exact: among such examples, which of the two is right is a fair coin.

    Args:
        first: Whether the one is right, example by example ``[n]``.
        second: Whether the other is.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    fewer, both = min(only_first, only_second), only_first + only_second
    tail = float(special.bdtr(fewer, both, 0.5)) if both else 1.0
    return PairedTest("McNemar", min(1.0, 2 * tail))


def bootstrap_test(
    score: Callable[[NDArray[np.intp]], tuple[float, float]], examples: int
) -> PairedTest:
    """Tests two models on samples of the same examples, drawn with replacement.

    The p-value is the share of samples in which the difference strays from the observed one by as
    much as that is away from 0 (Efron & Tibshirani 1993, section 16.4); it is at least
    ``1 / (B + 1)``.

    Args:
        score: The scores of both models on the examples of some indices.
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
