"""The drawing as SVG, written here, and as PNG, painted by matplotlib."""

from __future__ import annotations

import io
from html import escape
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UserError
from sparsebench.leaderboard.cost_columns import COSTS
from sparsebench.leaderboard.plot.drawing import Dot, Drawing, Label, Line, Look, draw_board

if TYPE_CHECKING:
    from sparsebench.leaderboard.board import Leaderboard
    from sparsebench.leaderboard.cost_columns import Cost
    from sparsebench.leaderboard.plot.drawing import Part

STYLE = """
.plot{--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--best:#0a58a6;--other:#8c6d1f;background:#fff}
@media(prefers-color-scheme:dark){.plot{--ink:#e6edf3;--soft:#9aa5b1;--line:#3a424c;--best:#6cb0ff;\
--other:#d3b458;background:#0e1217}}
.plot text{font:12px system-ui,sans-serif;fill:var(--soft)}
.plot .title{font-weight:600;font-size:14px;fill:var(--ink)}
.plot .label{fill:var(--ink);font-size:11px}
.plot polyline{fill:none;stroke:var(--line)}
.plot .axis{stroke:var(--soft)}
.plot .baseline{stroke:var(--soft);stroke-dasharray:2 4}
.plot .front{stroke:var(--best);stroke-width:1.5;stroke-dasharray:5 3}
.plot .bar{stroke:var(--soft);stroke-width:1.2}
.plot .best{fill:var(--best)}
.plot .other{fill:var(--other)}
"""
"""Colours with enough contrast on a light and on a dark background."""

DPI = 100
SCALE = 2
"""Pixels of the file per pixel of the drawing, for sharp print."""

_COLOURS = {
    Look.GRID: "#d0d7de",
    Look.AXIS: "#57606a",
    Look.BASELINE: "#57606a",
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


def to_svg(board: Leaderboard, *, cost: Cost = COSTS[0]) -> str:
    """Return an SVG file: every group, one below the other."""
    return svg(draw_board(board, cost), style=STYLE) + "\n"


def svg(drawing: Drawing, *, style: str = "") -> str:
    """Return the ``svg`` element of a drawing.

    Args:
        drawing: The drawing.
        style: The style sheet to include; none inside a page that has it.
    """
    parts = "\n".join(map(_part, drawing.parts))
    sheet = f"<style>{style}</style>\n" if style else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" role="img" '
        f'viewBox="0 0 {drawing.width:g} {drawing.height:g}" width="{drawing.width:g}" '
        f'height="{drawing.height:g}" aria-label="{escape(drawing.description)}">\n'
        f"{sheet}{parts}\n</svg>"
    )


def _part(part: Part) -> str:
    match part:
        case Line(places, look):
            through = " ".join(f"{x:g},{y:g}" for x, y in places)
            return f'<polyline class="{look}" points="{through}"/>'
        case Dot((x, y), look, tooltip):
            return (
                f'<circle class="{look}" cx="{x:g}" cy="{y:g}" r="4.5">'
                f"<title>{escape(tooltip, quote=False)}</title></circle>"
            )
        case Label((x, y), text, look, anchor, upright):
            turned = f' transform="rotate(-90 {x:g} {y:g})"' if upright else ""
            return (
                f'<text class="{look}" x="{x:g}" y="{y:g}" text-anchor="{anchor}"{turned}>'
                f"{escape(text, quote=False)}</text>"
            )


def to_png(board: Leaderboard, *, cost: Cost = COSTS[0]) -> bytes:
    """Return a PNG file: every group, one below the other, on white.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(
            "PNG requires matplotlib: pip install 'sparsebench[png]'; SVG requires nothing"
        ) from None
    drawing = draw_board(board, cost)
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
            style = {Look.FRONT: "--", Look.BASELINE: ":"}.get(look, "-")
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
