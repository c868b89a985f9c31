"""Leaderboards and cost tables: built from results, shown in many formats."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparsebench.leaderboard.board import Leaderboard
    from sparsebench.leaderboard.comparison import compare
    from sparsebench.leaderboard.costs_table import costs_document
    from sparsebench.leaderboard.formats import FORMATS
    from sparsebench.leaderboard.render import RENDERERS, TerminalDocument
    from sparsebench.leaderboard.scores_table import scores_document

__all__ = [
    "FORMATS",
    "RENDERERS",
    "Leaderboard",
    "TerminalDocument",
    "compare",
    "costs_document",
    "scores_document",
]

_MODULES = {
    "board": ("Leaderboard",),
    "comparison": ("compare",),
    "costs_table": ("costs_document",),
    "formats": ("FORMATS",),
    "render": ("RENDERERS", "TerminalDocument"),
    "scores_table": ("scores_document",),
}
"""Module -> the public names that it defines; it is imported when one is first used."""


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
