"""The points of a plot, and which of them nothing beats in both score and cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparsebench.leaderboard.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sparsebench.leaderboard.costs import Cost
    from sparsebench.leaderboard.table import Group


@dataclass(frozen=True)
class Point:
    """A row in the plane of cost and score.

    Attributes:
        name: What the row is called.
        cost: The less the better.
        score: The more the better.
        half_width: Half of the score's 95 % interval; None where it is not known.
    """

    name: str
    cost: float
    score: float
    half_width: float | None = None


def points_of(group: Group, cost: Cost) -> list[Point]:
    """Returns the rows of a group that have an average and the cost, cheapest first."""
    points = []
    for row in group.rows:
        value = cost.key(row)
        if row.average and value is not None:
            sureness = row.average.sureness
            half = sureness.half_width if sureness else None
            points.append(Point(clean(row.name), value, row.average.value, half))
    return sorted(points, key=lambda point: (point.cost, -point.score, point.name))


def front(points: Iterable[Point]) -> list[Point]:
    """Returns the points that no cheaper or equally cheap one beats, cheapest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.score, point.name)):
        if not best or point.score > best[-1].score:
            best.append(point)
    return best
