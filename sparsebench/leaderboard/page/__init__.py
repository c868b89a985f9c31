"""The leaderboard as one HTML page that opens from disk, offline, and needs nothing else.

All that there is to read is in the page before any script runs; the script adds sorting, filtering
and the choice of a plot. The policy of the page allows that one script by its hash, so that no name
could run another even if it were not escaped.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from sparsebench.leaderboard.costs import COSTS
from sparsebench.leaderboard.layers import LayerTable, layer_table
from sparsebench.leaderboard.plot import draw_group
from sparsebench.leaderboard.plot.svg import STYLE, svg
from sparsebench.leaderboard.text import heading, legend, notes, text_columns, warnings

if TYPE_CHECKING:
    from sparsebench.leaderboard.table import Group, Table
    from sparsebench.leaderboard.text import TextColumn


@dataclass(frozen=True)
class _Plot:
    """A plot of the page: what it is drawn against, and the picture."""

    name: str
    note: str
    picture: Markup


@dataclass(frozen=True)
class _Section:
    """A group of the page; ``rows`` hold, column by column, what is shown and what it sorts by."""

    heading: str
    columns: list[TextColumn]
    rows: list[list[tuple[str, str, bool]]]
    layers: LayerTable | None
    plots: list[_Plot]
    notes: list[str]


def render(table: Table) -> str:
    """Returns the page."""
    script = _file("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = _environment().get_template("page.html.j2")
    sections = [_section(group) for group in table.groups]
    return page.render(
        sections=sections,
        warnings=warnings(table),
        legend=legend(section.columns for section in sections),
        style=Markup(_file("page.css") + STYLE),  # noqa: S704 - files of ours
        script=Markup(script),  # noqa: S704 - a file of ours
        digest=digest,
    )


def _section(group: Group) -> _Section:
    columns = text_columns(group)
    cells = [
        [
            (text, "" if key is None else str(key), at in column.strong)
            for at, (text, key) in enumerate(zip(column.values, column.keys, strict=True))
        ]
        for column in columns
    ]
    plots = [
        _Plot(cost.name, cost.note, Markup(svg(draw_group(group, cost))))  # noqa: S704 - escaped there
        for cost in COSTS
        if any(row.average and cost.key(row) is not None for row in group.rows)
    ]
    rows = [list(row) for row in zip(*cells, strict=True)]
    return _Section(heading(group), columns, rows, layer_table(group), plots, list(notes(group)))


@cache
def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(_file),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _file(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
