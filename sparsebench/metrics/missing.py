"""What a missing answer counts as: the one that is furthest from the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

NO_CLASS = -1
"""Stands for a missing answer among class indices; no reference is ever equal to it."""


def as_classes(predictions: Sequence[int | None]) -> list[int]:
    """Puts a class that no reference has where an answer is missing."""
    return [NO_CLASS if answer is None else answer for answer in predictions]


def as_binary(predictions: Sequence[int | None], references: Sequence[int]) -> list[int]:
    """Puts the wrong class where an answer is neither 0 nor 1."""
    pairs = zip(predictions, references, strict=True)
    return [1 - reference if answer not in (0, 1) else answer for answer, reference in pairs]


def as_numbers(predictions: Sequence[float | None], references: Numbers) -> Numbers:
    """Puts the furthest label where an answer is not a finite number.

    That is the smallest or the largest reference, whichever is further from the right one. A fixed
    stand-in such as 0 would be right, or nearly so, for some examples, and a model that falls
    silent there would gain from it.
    """
    answers = np.asarray(predictions, dtype=np.float64)
    low, high = references.min(), references.max()
    furthest = np.where(references - low > high - references, low, high)
    return np.where(np.isfinite(answers), answers, furthest)
