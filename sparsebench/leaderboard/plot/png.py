"""The drawing as PNG, painted by matplotlib."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UserError
from sparsebench.leaderboard.costs import COSTS
from sparsebench.leaderboard.plot.drawing import Dot, Label, Line, Look, draw_table

if TYPE_CHECKING:
    from sparsebench.leaderboard.costs import Cost
    from sparsebench.leaderboard.plot.drawing import Part
    from sparsebench.leaderboard.table import Table

DPI = 100
SCALE = 2
"""Pixels of the file for one of the drawing, for sharp print."""

_COLOURS = {
    Look.GRID: "#d0d7de",
    Look.AXIS: "#57606a",
    Look.BAR: "#57606a",
    Look.FRONT: "#0a58a6",
    Look.BEST: "#0a58a6",
    Look.OTHER: "#8c6d1f",
    Look.TITLE: "#1b1f24",
    Look.TEXT: "#57606a",
    Look.LABEL: "#1b1f24",
}
_POINTS = {Look.TITLE: 10.0, Look.TEXT: 8.5, Look.LABEL: 8.0}
_SIDES = {"start": "left", "middle": "center", "end": "right"}


def render_png(table: Table, *, cost: Cost = COSTS[0]) -> bytes:
    """Returns a PNG file: every group, one below the other, on white.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(
            "PNG takes matplotlib: pip install 'sparsebench[png]'; SVG takes nothing"
        ) from None
    drawing = draw_table(table, cost)
    figure = Figure(figsize=(drawing.width / DPI, drawing.height / DPI), dpi=DPI * SCALE)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, drawing.width)
    axes.set_ylim(drawing.height, 0)
    axes.set_axis_off()
    for part in drawing.parts:
        _paint(axes, part)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None, "Title": drawing.title})
    return stream.getvalue()


def _paint(axes: Any, part: Part) -> None:
    colour = _COLOURS[part.look]
    match part:
        case Line(places, look):
            xs, ys = zip(*places, strict=True)
            style = "--" if look is Look.FRONT else "-"
            axes.plot(xs, ys, color=colour, linestyle=style, linewidth=0.9, clip_on=False)
        case Dot((x, y), _, _):
            axes.plot([x], [y], "o", color=colour, markersize=5, clip_on=False)
        case Label((x, y), text, look, anchor, upright):
            axes.text(
                x,
                y,
                text,
                color=colour,
                fontsize=_POINTS[look],
                fontweight="bold" if look is Look.TITLE else "normal",
                horizontalalignment="center" if upright else _SIDES[anchor],
                verticalalignment="center" if upright else "baseline",
                rotation=90 if upright else 0,
                parse_math=False,
            )
