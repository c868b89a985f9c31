"""What a plot is made of: lines, dots and texts at places in the picture, from the top left."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from sparsebench.leaderboard.plot.axes import Axis, cost_axis, linear_axis, tick_text
from sparsebench.leaderboard.plot.front import Point, front, points_of
from sparsebench.leaderboard.plot.labels import beside
from sparsebench.leaderboard.text import heading, percent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sparsebench.leaderboard.costs import Cost
    from sparsebench.leaderboard.table import Group, Table

WIDTH, HEIGHT = 720.0, 420.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 24.0, 40.0, 56.0
NAMED = 24
"""Points that all have their name written; of more, only those of the front."""

LONGEST = 24
"""Letters of a name that are written."""


class Look(StrEnum):
    """What a part of the drawing is."""

    GRID = "grid"
    AXIS = "axis"
    BAR = "bar"
    FRONT = "front"
    BEST = "best"
    OTHER = "other"
    TITLE = "title"
    TEXT = "text"
    LABEL = "label"


@dataclass(frozen=True)
class Line:
    """A line through some places."""

    places: tuple[tuple[float, float], ...]
    look: Look


@dataclass(frozen=True)
class Dot:
    """A point, and what it says when it is pointed at."""

    place: tuple[float, float]
    look: Look
    says: str


@dataclass(frozen=True)
class Label:
    """A text; its place is on its base line, at its start, middle or end."""

    place: tuple[float, float]
    text: str
    look: Look
    anchor: Literal["start", "middle", "end"] = "middle"
    upright: bool = False


Part = Line | Dot | Label


@dataclass(frozen=True)
class Drawing:
    """A picture.

    Attributes:
        width: In pixels.
        height: In pixels.
        parts: What is drawn, in order.
        title: What it shows.
        says: The same in words, for those who cannot see it.
    """

    width: float
    height: float
    parts: tuple[Part, ...]
    title: str
    says: str


def draw_table(table: Table, cost: Cost) -> Drawing:
    """Draws every group of a leaderboard, one below the other.

    Args:
        table: The leaderboard.
        cost: What the scores are drawn against.
    """
    drawings = [draw_group(group, cost) for group in table.groups]
    parts = [
        _moved(part, HEIGHT * number)
        for number, drawing in enumerate(drawings)
        for part in drawing.parts
    ]
    return Drawing(
        width=WIDTH,
        height=HEIGHT * max(1, len(drawings)),
        parts=tuple(parts),
        title=f"Average score against {cost.note}",
        says=" ".join(drawing.says for drawing in drawings) or "There are no results.",
    )


def draw_group(group: Group, cost: Cost) -> Drawing:
    """Draws the scores of one group against a cost, with the front and the error bars."""
    points = points_of(group, cost)
    best = front(points)
    title = heading(group)
    parts: list[Part] = [Label((LEFT, 20), title, Look.TITLE, anchor="start")]
    if points:
        ends = [end for point in points for end in _ends(point)]
        x, y = cost_axis([point.cost for point in points]), linear_axis([100 * e for e in ends])
        parts = [*parts, *_frame(x, y, cost.note), *_data(points, best, x, y)]
    else:
        parts.append(Label((WIDTH / 2, HEIGHT / 2), "nothing was measured", Look.TEXT))
    return Drawing(WIDTH, HEIGHT, tuple(parts), title, _in_words(title, points, best, cost))


def _frame(x: Axis, y: Axis, note: str) -> Iterator[Part]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for value in y.ticks:
        at = _y(y, value)
        yield Line(((LEFT, at), (right, at)), Look.GRID)
        yield Label((LEFT - 8, at + 4), tick_text(value), Look.TEXT, anchor="end")
    for value in x.ticks:
        at = _x(x, value)
        yield Line(((at, bottom), (at, bottom + 5)), Look.AXIS)
        yield Label((at, bottom + 19), tick_text(value), Look.TEXT)
    yield Line(((LEFT, TOP), (LEFT, bottom), (right, bottom)), Look.AXIS)
    yield Label(((LEFT + right) / 2, HEIGHT - 14), note, Look.TEXT)
    middle = (16.0, (TOP + bottom) / 2)
    yield Label(middle, "average score, with its 95 % interval", Look.TEXT, upright=True)


def _data(points: Sequence[Point], best: Sequence[Point], x: Axis, y: Axis) -> Iterator[Part]:
    steps: list[tuple[float, float]] = []
    for point in best:
        place = (_x(x, point.cost), _y(y, 100 * point.score))
        steps += [(place[0], steps[-1][1]), place] if steps else [place]
    if steps:
        yield Line((*steps, (WIDTH - RIGHT, steps[-1][1])), Look.FRONT)
    for point in points:
        low, high = (_y(y, 100 * end) for end in _ends(point))
        at = _x(x, point.cost)
        if low != high:
            yield Line(((at, low), (at, high)), Look.BAR)
    for point in points:
        place = (_x(x, point.cost), _y(y, 100 * point.score))
        yield Dot(place, Look.BEST if point in best else Look.OTHER, _says(point))
    named = points if len(points) <= NAMED else best
    names = [
        point.name if len(point.name) <= LONGEST else f"{point.name[: LONGEST - 1]}…"
        for point in named
    ]
    dots = [(_x(x, point.cost), _y(y, 100 * point.score)) for point in named]
    places = beside(dots, names, left=LEFT, right=WIDTH - RIGHT)
    for name, (place, side) in zip(names, places, strict=True):
        yield Label(place, name, Look.LABEL, anchor=side)


def _ends(point: Point) -> tuple[float, float]:
    half = point.half_width or 0.0
    return point.score - half, point.score + half


def _x(axis: Axis, value: float) -> float:
    return round(LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT), 2)


def _y(axis: Axis, value: float) -> float:
    return round(HEIGHT - BOTTOM - axis.place(value) * (HEIGHT - BOTTOM - TOP), 2)


def _says(point: Point) -> str:
    apart = f" ± {percent(point.half_width)}" if point.half_width is not None else ""
    return f"{point.name}: {percent(point.score)}{apart} at {tick_text(float(f'{point.cost:.4g}'))}"


def _in_words(title: str, points: Sequence[Point], best: Sequence[Point], cost: Cost) -> str:
    if not points:
        return f"{title}: nothing was measured."
    told = "; ".join(map(_says, best[:NAMED]))
    return f"{title}: average score against {cost.note}. The front, cheapest first: {told}."


def _moved(part: Part, down: float) -> Part:
    match part:
        case Line(places, look):
            return Line(tuple((x, y + down) for x, y in places), look)
        case Dot((x, y), look, says):
            return Dot((x, y + down), look, says)
        case Label((x, y), text, look, anchor, upright):
            return Label((x, y + down), text, look, anchor, upright)
