"""The leaderboard as one HTML page that opens from disk, offline, and needs nothing else.

The page is complete before any script runs; the script adds sorting, filtering and the choice of a
plot. The content security policy allows that one script by its hash, so that no name could run
another even if it were not escaped.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from markupsafe import Markup

from sparsebench.leaderboard.cost_columns import COSTS
from sparsebench.leaderboard.plot import STYLE, draw_group, svg
from sparsebench.leaderboard.scores_table import scores_document
from sparsebench.leaderboard.text import clean

if TYPE_CHECKING:
    from jinja2 import Environment

    from sparsebench.leaderboard.board import Group, Leaderboard
    from sparsebench.leaderboard.render.document import TextColumn, TextSection


@dataclass(frozen=True)
class _Plot:
    """A plot of the page: the name and axis of its cost, and the picture."""

    name: str
    axis: str
    picture: Markup


@dataclass(frozen=True)
class LayerTable:
    """Activation densities layer by layer: a row per method, a column per FFN.

    Attributes:
        layers: ``encoder 0`` and on, in the order of the model.
        rows: The name of each measured method, and its activation density layer by layer; None
            where the FFN was removed.
    """

    layers: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]


@dataclass(frozen=True)
class _Section:
    """A group of the page; a cell of ``rows`` is its text, its sort key, and its emphasis."""

    heading: str
    columns: tuple[TextColumn, ...]
    rows: list[tuple[tuple[str, str, bool], ...]]
    layers: LayerTable | None
    plots: list[_Plot]
    notes: tuple[str, ...]


def to_html(board: Leaderboard) -> str:
    """Return the page."""
    script = _file("page.js")
    document = scores_document(board)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            sections=map(_section, document.sections, board.groups),
            warnings=document.warnings,
            legend=document.legend,
            style=Markup(_file("page.css") + STYLE),  # noqa: S704 - our own files
            script=Markup(script),  # noqa: S704 - our own file
            digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


def _section(section: TextSection, group: Group) -> _Section:
    columns = section.tables[0].columns
    cells = [
        [
            (text, "" if key is None else str(key), at in column.strong)
            for at, (text, key) in enumerate(zip(column.values, column.keys, strict=True))
        ]
        for column in columns
    ]
    plots = [
        _Plot(cost.name, cost.axis, Markup(svg(draw_group(group, cost))))  # noqa: S704 - escaped there
        for cost in COSTS
        if any(row.average and cost.key(row) is not None for row in group.rows)
    ]
    rows = list(zip(*cells, strict=True))
    return _Section(section.heading, columns, rows, layer_table(group), plots, section.notes)


def layer_table(group: Group) -> LayerTable | None:
    """Return the activation densities of a group in the order of its rows; None without any."""
    measured = [row for row in group.rows if row.costs.layer_activation_densities]
    layers = max((row.costs.layer_activation_densities for row in measured), key=len, default=None)
    if not layers:
        return None
    rows = (
        (clean(row.name), tuple(map(row.costs.layer_activation_densities.get, layers)))
        for row in measured
    )
    return LayerTable(tuple(layers), tuple(rows))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

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
