"""A plot as lines, dots and labels in pixels from the top left, and the rows that it shows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from sparsebench.leaderboard.plot.layout import Axis, beside, cost_axis, linear_axis, tick_text
from sparsebench.leaderboard.scores_table import heading
from sparsebench.leaderboard.text import clean, percent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sparsebench.leaderboard.board import Group, Leaderboard
    from sparsebench.leaderboard.cost_columns import Cost

WIDTH, HEIGHT = 720.0, 420.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 24.0, 40.0, 56.0
NAMED = 24
"""The most points that are all labelled; of more, only those of the front are."""

LONGEST = 24
"""The most letters of a label."""


class Look(StrEnum):
    """The role of a part, from which its colour and style follow."""

    GRID = "grid"
    AXIS = "axis"
    BASELINE = "baseline"
    BAR = "bar"
    FRONT = "front"
    BEST = "best"
    OTHER = "other"
    TITLE = "title"
    TEXT = "text"
    LABEL = "label"


@dataclass(frozen=True)
class Line:
    """A line through places."""

    places: tuple[tuple[float, float], ...]
    look: Look


@dataclass(frozen=True)
class Dot:
    """A point, and its text when it is pointed at."""

    place: tuple[float, float]
    look: Look
    tooltip: str


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
        parts: In the order they are drawn.
        title: The heading.
        description: The content in words, for screen readers.
    """

    width: float
    height: float
    parts: tuple[Part, ...]
    title: str
    description: str


@dataclass(frozen=True)
class Point:
    """A row in the plane of cost and score.

    Attributes:
        name: The name of the row.
        cost: Less is better.
        score: More is better.
        half_width: Half of the score's 95 % confidence interval; None where not known.
    """

    name: str
    cost: float
    score: float
    half_width: float | None = None


def points_of(group: Group, cost: Cost) -> list[Point]:
    """Return the rows of a group that have an average and the cost, cheapest first."""
    points = []
    for row in group.rows:
        value = cost.key(row)
        if row.average and value is not None:
            interval = row.average.confidence_interval
            half = interval.half_width if interval else None
            points.append(Point(clean(row.name), value, row.average.value, half))
    return sorted(points, key=lambda point: (point.cost, -point.score, point.name))


def front(points: Iterable[Point]) -> list[Point]:
    """Return the Pareto front, cheapest first: points that no point of at most their cost beats."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.score, point.name)):
        if not best or point.score > best[-1].score:
            best.append(point)
    return best


def draw_board(board: Leaderboard, cost: Cost) -> Drawing:
    """Draw every group of a leaderboard, one below the other.

    Args:
        board: The leaderboard.
        cost: The cost on the horizontal axis.
    """
    drawings = [draw_group(group, cost) for group in board.groups]
    description = " ".join(drawing.description for drawing in drawings)
    parts = [
        _moved(part, HEIGHT * number)
        for number, drawing in enumerate(drawings)
        for part in drawing.parts
    ]
    return Drawing(
        width=WIDTH,
        height=HEIGHT * max(1, len(drawings)),
        parts=tuple(parts),
        title=f"Average score against {cost.axis}",
        description=description or "There are no results.",
    )


def draw_group(group: Group, cost: Cost) -> Drawing:
    """Draw the scores of one group against a cost, with error bars and the Pareto front."""
    points = points_of(group, cost)
    best = front(points)
    title = heading(group)
    parts: list[Part] = [Label((LEFT, 20), title, Look.TITLE, anchor="start")]
    if points:
        baseline = group.baseline
        ends = [end for point in points for end in _ends(point)]
        ends += [] if baseline is None else [baseline]
        x, y = cost_axis([point.cost for point in points]), linear_axis([100 * e for e in ends])
        parts = [*parts, *_frame(x, y, cost.axis)]
        parts += [] if baseline is None else _baseline(baseline, y)
        parts += _data(points, best, x, y)
    else:
        parts.append(Label((WIDTH / 2, HEIGHT / 2), "nothing was measured", Look.TEXT))
    return Drawing(WIDTH, HEIGHT, tuple(parts), title, _in_words(title, points, best, cost))


def _frame(x: Axis, y: Axis, title: str) -> Iterator[Part]:
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
    yield Label(((LEFT + right) / 2, HEIGHT - 14), title, Look.TEXT)
    middle = (16.0, (TOP + bottom) / 2)
    yield Label(middle, "average score, 95 % interval", Look.TEXT, upright=True)


def _baseline(score: float, y: Axis) -> Iterator[Part]:
    """Yield the line of the majority class, with its name at the right end."""
    at, right = _y(y, 100 * score), WIDTH - RIGHT
    yield Line(((LEFT, at), (right, at)), Look.BASELINE)
    yield Label((right - 4, at - 5), "majority class", Look.TEXT, anchor="end")


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
        yield Dot(place, Look.BEST if point in best else Look.OTHER, _tooltip(point))
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


def _tooltip(point: Point) -> str:
    apart = f" ± {percent(point.half_width)}" if point.half_width is not None else ""
    return f"{point.name}: {percent(point.score)}{apart} at {tick_text(float(f'{point.cost:.4g}'))}"


def _in_words(title: str, points: Sequence[Point], best: Sequence[Point], cost: Cost) -> str:
    if not points:
        return f"{title}: nothing was measured."
    points_in_words = "; ".join(map(_tooltip, best[:NAMED]))
    return (
        f"{title}: average score against {cost.axis}. "
        f"The Pareto front, cheapest first: {points_in_words}."
    )


def _moved(part: Part, down: float) -> Part:
    match part:
        case Line(places, look):
            return Line(tuple((x, y + down) for x, y in places), look)
        case Dot((x, y), look, tooltip):
            return Dot((x, y + down), look, tooltip)
        case Label((x, y), text, look, anchor, upright):
            return Label((x, y + down), text, look, anchor, upright)
