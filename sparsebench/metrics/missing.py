"""Fill in missing predictions of classes and numbers, so that they never help.

It is apart from the metrics, as leaderboards need it and `evaluate` takes seconds to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

NO_CLASS = -1
"""The class index of a missing prediction; no reference equals it."""


def as_classes(predictions: Sequence[int | None]) -> list[int]:
    """Replace missing predictions by a class that no reference has."""
    return [NO_CLASS if predicted is None else predicted for predicted in predictions]


def as_binary(predictions: Sequence[int | None], references: Sequence[int]) -> list[int]:
    """Replace predictions that are neither 0 nor 1 by the wrong class."""
    pairs = zip(predictions, references, strict=True)
    return [1 - reference if guess not in (0, 1) else guess for guess, reference in pairs]


def as_numbers(predictions: Sequence[float | None], references: Numbers) -> Numbers:
    """Replace predictions that are not finite numbers by the furthest label.

    That is the smallest or the largest reference, whichever is further from the right one. A fixed
    value such as 0 would be nearly right for some examples, and a model would gain from giving no
    prediction there.
    """
    numbers = np.asarray(predictions, dtype=np.float64)
    low, high = references.min(), references.max()
    furthest = np.where(references - low > high - references, low, high)
    return np.where(np.isfinite(numbers), numbers, furthest)
