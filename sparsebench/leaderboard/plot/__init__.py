"""The score against a cost, with the Pareto front: one drawing, as SVG or PNG.

The drawing consists of lines, dots and labels at exact places. SVG is written here, since the page
includes the same drawing and must need nothing; PNG is painted by matplotlib, an extra, which has
fonts of its own and so gives the same picture everywhere.
"""

from __future__ import annotations

from sparsebench.leaderboard.plot.drawing import (
    Drawing,
    Point,
    draw_board,
    draw_group,
    front,
    points_of,
)
from sparsebench.leaderboard.plot.formats import STYLE, svg, to_png, to_svg

__all__ = [
    "STYLE",
    "Drawing",
    "Point",
    "draw_board",
    "draw_group",
    "front",
    "points_of",
    "svg",
    "to_png",
    "to_svg",
]
