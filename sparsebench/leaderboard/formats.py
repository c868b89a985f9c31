"""The file formats of a leaderboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparsebench.leaderboard.page import to_html
from sparsebench.leaderboard.plot import to_svg
from sparsebench.leaderboard.render import RENDERERS
from sparsebench.leaderboard.scores_table import scores_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from sparsebench.leaderboard.board import Leaderboard


def _rendered(form: str) -> Callable[[Leaderboard], str]:
    return lambda board: RENDERERS[form](scores_document(board))


FORMATS: dict[str, Callable[[Leaderboard], str]] = {
    **{form: _rendered(form) for form in RENDERERS},
    "html": to_html,
    "svg": to_svg,
}
"""Ending of a file's name -> its renderer."""
