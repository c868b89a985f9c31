"""Place values on axes, and names beside dots so that none overlaps another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Place = tuple[float, float]
    Side = Literal["start", "end"]
    Box = tuple[float, float, float, float]

DECADES = 1.3
"""Powers of ten that values must span for the axis to be logarithmic."""

_ZERO = 0.7
"""Decades between the smallest power of ten on a logarithmic axis and the place of 0."""

LETTER, LINE = 6.2, 12.0
"""Approximate width and height of a letter, in pixels."""

RADIUS = 4.5
"""Radius of a dot, in pixels."""

GAP = 7.0
"""Pixels from the middle of a dot to its name."""

LINES_AWAY = 4
"""The most lines that a name may move up or down."""


@dataclass(frozen=True)
class Axis:
    """An axis from 0 to 1 in the picture.

    Attributes:
        low: The least value, or its logarithm.
        high: The greatest value, or its logarithm.
        is_log: True for a logarithmic axis; 0 then has a place of its own at the left end.
        ticks: The labelled values.
    """

    low: float
    high: float
    is_log: bool
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Return the place of a value, from 0 to 1."""
        if self.is_log:
            value = math.log10(value) if value > 0 else self.low
        return (value - self.low) / (self.high - self.low)


def cost_axis(values: Sequence[float]) -> Axis:
    """Return an axis of costs, logarithmic if they span more than ``DECADES``."""
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
    """Return an axis with round numbers around all values."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if high - low < 1e-12 * max(1.0, abs(high)):
        apart = abs(high) / 10 or 1.0
        low, high = low - apart, high + apart
    step = _round_step((high - low) / 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = tuple(float(f"{n * step:.12g}") for n in range(first, last + 1))
    return Axis(first * step, last * step, is_log=False, ticks=ticks)


def tick_text(value: float) -> str:
    """Return a value as the label of a tick: 1k for 1,000."""
    for unit, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:g}"


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= step * 0.999)


def beside(
    dots: Sequence[Place], names: Sequence[str], *, left: float, right: float
) -> list[tuple[Place, Side]]:
    """Return the place of each name: one of its ends on the base line, and which end that is.

    A name takes the first place without a dot or an earlier name; if there is none, it stays beside
    its dot. The same dots and names give the same places.

    Args:
        dots: The middle of each dot, in pixels.
        names: The name of each dot.
        left: The left bound of names.
        right: The right bound of names.
    """
    taken = [(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y in dots]
    places = []
    for dot, name in zip(dots, names, strict=True):
        inside = [
            (place, side)
            for place, side in _candidates(dot)
            if left <= box_of(place, side, name)[0] and box_of(place, side, name)[2] <= right
        ] or [next(_candidates(dot))]
        free = (
            chosen
            for chosen in inside
            if not any(meet(box_of(*chosen, name), box) for box in taken)
        )
        place, side = next(free, inside[0])
        taken.append(box_of(place, side, name))
        places.append((place, side))
    return places


def _candidates(dot: Place) -> Iterator[tuple[Place, Side]]:
    """Yield places, the nearest first: right before left, above before below."""
    x, y = dot
    for line in range(LINES_AWAY):
        for down in (-6 - line * LINE, LINE + line * LINE):
            yield (x + GAP, y + down), "start"
            yield (x - GAP, y + down), "end"


def box_of(place: Place, side: Side, name: str) -> Box:
    """Return left, top, right and bottom of a name at a place."""
    x, y = place
    width = LETTER * len(name)
    first = x if side == "start" else x - width
    return first, y - LINE + 2, first + width, y + 2


def meet(one: Box, other: Box) -> bool:
    """Return whether two boxes share more than an edge."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
