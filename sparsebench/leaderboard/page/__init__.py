"""The leaderboard as one HTML page that opens from disk, offline, and needs nothing else.

The table, the plots and the notes are there before any script runs; the script adds the budget,
the choice of axes, sorting, filtering and details. The content security policy allows that one
script by its hash, so that no name could run another even if it were not escaped.

The plot is drawn by our own script. A plotting library such as Vega-Lite or ECharts would make each
page several times as large, and none has a front that follows tests of significance.
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
from sparsebench.leaderboard.page.data import embedded
from sparsebench.leaderboard.plot import STYLE, draw_group, svg
from sparsebench.leaderboard.scores_table import scores_document
from sparsebench.leaderboard.text import clean, seeds_in_words

if TYPE_CHECKING:
    from jinja2 import Environment

    from sparsebench.leaderboard.board import Group, Leaderboard
    from sparsebench.leaderboard.render.document import TextColumn, TextSection


SCRIPTS = (
    "state",
    "quantities",
    "front",
    "scale",
    "plot",
    "budget",
    "table",
    "details",
    "significance",
    "main",
)
"""The files that are one script on the page; ``main`` runs the others and comes last."""

STYLES = ("base", "controls", "table", "plot")


@dataclass(frozen=True)
class _Plot:
    """A plot for readers without scripts: the axis of its cost, and the picture."""

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
    name: str
    facts: tuple[str, ...]
    flagged: bool
    columns: tuple[TextColumn, ...]
    more_is_better: frozenset[str]
    rows: list[tuple[tuple[str, str, bool], ...]]
    last: tuple[str, ...]
    data: Markup
    layers: LayerTable | None
    plots: list[_Plot]
    notes: tuple[str, ...]


def to_html(board: Leaderboard) -> str:
    """Return the page."""
    script = '"use strict";\n' + "".join(_file(f"js/{name}.js") for name in SCRIPTS)
    style = "".join(_file(f"css/{name}.css") for name in STYLES)
    document = scores_document(board)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            sections=map(_section, document.sections, board.groups),
            warnings=document.warnings,
            legend=document.legend,
            style=Markup(style + STYLE),  # noqa: S704 - our own files
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
        _Plot(cost.axis, Markup(svg(draw_group(group, cost))))  # noqa: S704 - escaped there
        for cost in COSTS
        if any(row.average and cost.key(row) is not None for row in group.rows)
    ]
    return _Section(
        heading=section.heading,
        name=clean(group.name),
        facts=(
            clean(f"protocol {group.protocol}"),
            seeds_in_words(group.seeds),
            f"{len(group.rows)} method{'s' if len(group.rows) > 1 else ''}",
        ),
        flagged=group.flagged,
        columns=columns,
        more_is_better=_more_is_better(group),
        rows=list(zip(*cells, strict=True)),
        last=section.tables[0].last,
        data=embedded(group),
        layers=layer_table(group),
        plots=plots,
        notes=section.notes,
    )


def _more_is_better(group: Group) -> frozenset[str]:
    """Return the headings of the columns that a first click sorts from high to low."""
    tasks = {clean(column.name) for column in group.columns}
    return frozenset({"average", "sparsity", "efficiency", *tasks})


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
