"""Axes: where a value lies in the picture, and which values are written beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DECADES = 1.3
"""Powers of ten that values must span for the axis to be logarithmic."""

_ZERO = 0.7
"""Decades between the smallest power of ten on a logarithmic axis and the place of 0."""


@dataclass(frozen=True)
class Axis:
    """An axis from 0 to 1 in the picture.

    Attributes:
        low: The least value, or its logarithm.
        high: The greatest value, or its logarithm.
        is_log: Whether places go by the logarithm; 0 then has a place of its own, left of all.
        ticks: The values that are written.
    """

    low: float
    high: float
    is_log: bool
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Returns where a value lies, from 0 to 1."""
        if self.is_log:
            value = math.log10(value) if value > 0 else self.low
        return (value - self.low) / (self.high - self.low)


def cost_axis(values: Sequence[float]) -> Axis:
    """Returns an axis of costs, logarithmic where they span more than ``DECADES``."""
    positive = [value for value in values if value > 0]
    if positive and math.log10(max(positive) / min(positive)) > DECADES:
        first = math.floor(math.log10(min(positive)))
        last = math.ceil(math.log10(max(positive)))
        zero = any(value <= 0 for value in values)
        step = max(1, math.ceil((last - first) / 6))
        ticks = (*((0.0,) if zero else ()), *(10.0**n for n in range(first, last + 1, step)))
        return Axis(first - (_ZERO if zero else 0.0), float(last), is_log=True, ticks=ticks)
    return linear_axis(values)


def linear_axis(values: Sequence[float]) -> Axis:
    """Returns an axis with round numbers around all values."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if high - low < 1e-12 * max(1.0, abs(high)):
        apart = abs(high) / 10 or 1.0
        low, high = low - apart, high + apart
    step = _round_step((high - low) / 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = tuple(float(f"{n * step:.12g}") for n in range(first, last + 1))
    return Axis(first * step, last * step, is_log=False, ticks=ticks)


def tick_text(value: float) -> str:
    """Returns a value as an axis says it: 1,000 is 1k."""
    for unit, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:g}"


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= step * 0.999)
