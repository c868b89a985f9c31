"""One renderer for each format of a table: terminal, Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparsebench.leaderboard.render.data import to_csv, to_json
from sparsebench.leaderboard.render.latex import to_latex
from sparsebench.leaderboard.render.markdown import to_markdown
from sparsebench.leaderboard.render.terminal import TerminalDocument

if TYPE_CHECKING:
    from collections.abc import Callable

    from sparsebench.leaderboard.render.document import TextDocument

RENDERERS: dict[str, Callable[[TextDocument], str]] = {
    "md": to_markdown,
    "csv": to_csv,
    "json": to_json,
    "tex": to_latex,
}
"""Format -> its renderer, for the formats that are files."""

__all__ = ["RENDERERS", "TerminalDocument", "to_csv", "to_json", "to_latex", "to_markdown"]
