"""The table as Markdown, in which no name can break out of its cell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tabulate import tabulate

from sparsebench.leaderboard.text import heading, legend, notes, text_columns, warnings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsebench.leaderboard.table import Group, Table
    from sparsebench.leaderboard.text import TextColumn


def render(table: Table) -> str:
    """Returns GitHub-flavoured Markdown: one section a group, with its notes below."""
    warning = "\n".join(f"> {escape(line)}  " for line in warnings(table))
    columns = [text_columns(group) for group in table.groups]
    parts = [warning, *map(_section, table.groups, columns), f"_{legend(columns)}_"]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(group: Group, columns: Sequence[TextColumn]) -> str:
    body = tabulate(
        list(zip(*map(_cells, columns), strict=True)),
        headers=[escape(column.heading) for column in columns],
        tablefmt="pipe",
        colalign=["right" if column.is_number else "left" for column in columns],
        disable_numparse=True,
    )
    below = "\n".join(f"- {escape(note)}" for note in notes(group))
    return "\n\n".join(part for part in (f"## {escape(heading(group))}", body, below) if part)


def _cells(column: TextColumn) -> list[str]:
    cells = enumerate(map(escape, column.values))
    return [f"**{text}**" if at in column.strong else text for at, text in cells]


def escape(text: str) -> str:
    """Returns text that Markdown shows as it is, HTML included.

    An underscore between letters means nothing in GitHub's Markdown, and stays readable.
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~$])", r"\\\1", text)
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)
