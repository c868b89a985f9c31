"""The drawing as SVG: for a README or a paper by itself, or inside the page."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from sparsebench.leaderboard.costs import COSTS
from sparsebench.leaderboard.plot.drawing import Dot, Drawing, Label, Line, draw_table

if TYPE_CHECKING:
    from sparsebench.leaderboard.costs import Cost
    from sparsebench.leaderboard.plot.drawing import Part
    from sparsebench.leaderboard.table import Table

STYLE = """
.plot{--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--best:#0a58a6;--other:#8c6d1f;background:#fff}
@media(prefers-color-scheme:dark){.plot{--ink:#e6edf3;--soft:#9aa5b1;--line:#3a424c;--best:#6cb0ff;\
--other:#d3b458;background:#0e1217}}
.plot text{font:12px system-ui,sans-serif;fill:var(--soft)}
.plot .title{font-weight:600;font-size:14px;fill:var(--ink)}
.plot .label{fill:var(--ink);font-size:11px}
.plot polyline{fill:none;stroke:var(--line)}
.plot .axis{stroke:var(--soft)}
.plot .front{stroke:var(--best);stroke-width:1.5;stroke-dasharray:5 3}
.plot .bar{stroke:var(--soft);stroke-width:1.2}
.plot .best{fill:var(--best)}
.plot .other{fill:var(--other)}
"""
"""Colours that have enough contrast on light and on dark paper."""


def render(table: Table, *, cost: Cost = COSTS[0]) -> str:
    """Returns a file of its own: every group, one below the other."""
    return svg(draw_table(table, cost), style=STYLE) + "\n"


def svg(drawing: Drawing, *, style: str = "") -> str:
    """Returns the ``svg`` element of a drawing.

    Args:
        drawing: What to write.
        style: The style sheet to carry; none inside a page that has it.
    """
    parts = "\n".join(map(_part, drawing.parts))
    sheet = f"<style>{style}</style>\n" if style else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" role="img" '
        f'viewBox="0 0 {drawing.width:g} {drawing.height:g}" width="{drawing.width:g}" '
        f'height="{drawing.height:g}" aria-label={quoteattr(drawing.says)}>\n'
        f"{sheet}{parts}\n</svg>"
    )


def _part(part: Part) -> str:
    match part:
        case Line(places, look):
            through = " ".join(f"{x:g},{y:g}" for x, y in places)
            return f'<polyline class="{look}" points="{through}"/>'
        case Dot((x, y), look, says):
            return (
                f'<circle class="{look}" cx="{x:g}" cy="{y:g}" r="4.5">'
                f"<title>{escape(says)}</title></circle>"
            )
        case Label((x, y), text, look, anchor, upright):
            turned = f' transform="rotate(-90 {x:g} {y:g})"' if upright else ""
            return (
                f'<text class="{look}" x="{x:g}" y="{y:g}" text-anchor="{anchor}"{turned}>'
                f"{escape(text)}</text>"
            )
