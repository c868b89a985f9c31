"""The score against a cost, with the front of what is worth its cost: one drawing, two formats.

The drawing is made of lines, dots and texts at exact places. SVG is written by ourselves, since the
page carries the same drawing and must need nothing; PNG is painted by matplotlib, an extra, which
brings fonts of its own and so gives the same picture everywhere.
"""

from __future__ import annotations

from sparsebench.leaderboard.plot.drawing import Drawing, draw_group, draw_table
from sparsebench.leaderboard.plot.front import Point, front, points_of
from sparsebench.leaderboard.plot.svg import render

__all__ = ["Drawing", "Point", "draw_group", "draw_table", "front", "points_of", "render"]
