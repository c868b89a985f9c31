"""Leaderboards: one table from any results, and the formats it is shown in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparsebench.leaderboard import delimited, json_format, latex, markdown, page, plot
from sparsebench.leaderboard.build import build
from sparsebench.leaderboard.comparison import compare
from sparsebench.leaderboard.table import Table
from sparsebench.leaderboard.terminal import TerminalTable

if TYPE_CHECKING:
    from collections.abc import Callable

FORMATS: dict[str, Callable[[Table], str]] = {
    "md": markdown.render,
    "csv": delimited.render,
    "json": json_format.render,
    "tex": latex.render,
    "html": page.render,
    "svg": plot.render,
}
"""The formats that are files, by the ending of their names."""

__all__ = ["FORMATS", "Table", "TerminalTable", "build", "compare"]
