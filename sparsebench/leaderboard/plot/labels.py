"""Names beside dots, moved up or down until none lies on another, or on a dot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Place = tuple[float, float]
    Side = Literal["start", "end"]
    Box = tuple[float, float, float, float]

LETTER, LINE = 6.2, 12.0
"""Width and height of a letter, about, in pixels."""

RADIUS = 4.5
"""Of a dot."""

GAP = 7.0
"""From the middle of a dot to its name."""

LINES_AWAY = 4
"""How far a name may move, up or down."""


def beside(
    dots: Sequence[Place], names: Sequence[str], *, left: float, right: float
) -> list[tuple[Place, Side]]:
    """Returns where each name stands: its end on the base line, and which end that is.

    A name takes the first place that is free of dots and of the names before it; where none is, it
    stays by its dot. The same dots and names give the same places.

    Args:
        dots: The middle of each dot.
        names: Its name.
        left: Names stay right of this.
        right: Names stay left of this.
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
    """Yields places from the nearest on: right before left, above before below."""
    x, y = dot
    for line in range(LINES_AWAY):
        for down in (-6 - line * LINE, LINE + line * LINE):
            yield (x + GAP, y + down), "start"
            yield (x - GAP, y + down), "end"


def box_of(place: Place, side: Side, name: str) -> Box:
    """Returns left, top, right and bottom of a name that stands at a place."""
    x, y = place
    width = LETTER * len(name)
    first = x if side == "start" else x - width
    return first, y - LINE + 2, first + width, y + 2


def meet(one: Box, other: Box) -> bool:
    """Returns whether two boxes share more than an edge."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
