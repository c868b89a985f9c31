"""Leaderboards and cost tables: built from results, shown in many formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparsebench.leaderboard.board import Leaderboard
from sparsebench.leaderboard.build import build
from sparsebench.leaderboard.comparison import compare
from sparsebench.leaderboard.costs_table import costs_document
from sparsebench.leaderboard.page import to_html
from sparsebench.leaderboard.plot import to_svg
from sparsebench.leaderboard.render import RENDERERS, TerminalDocument
from sparsebench.leaderboard.scores_table import scores_document

if TYPE_CHECKING:
    from collections.abc import Callable


def _rendered(form: str) -> Callable[[Leaderboard], str]:
    return lambda board: RENDERERS[form](scores_document(board))


FORMATS: dict[str, Callable[[Leaderboard], str]] = {
    **{form: _rendered(form) for form in RENDERERS},
    "html": to_html,
    "svg": to_svg,
}
"""The formats of a leaderboard that are files, by the ending of their names."""

__all__ = [
    "FORMATS",
    "RENDERERS",
    "Leaderboard",
    "TerminalDocument",
    "build",
    "compare",
    "costs_document",
    "scores_document",
]
