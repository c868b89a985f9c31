"""Markdown, in which no name can break out of its cell, and a block of it inside another file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tabulate import tabulate

from sparsebench.errors import UserError

if TYPE_CHECKING:
    from sparsebench.leaderboard.render.document import (
        TextColumn,
        TextDocument,
        TextSection,
        TextTable,
    )

BEGIN = "<!-- sparsebench:leaderboard -->"
END = "<!-- /sparsebench:leaderboard -->"


def to_markdown(document: TextDocument) -> str:
    """Return GitHub-flavoured Markdown: one heading per section, its notes below its tables."""
    warnings = "\n".join(f"> {escape(line)}  " for line in document.warnings)
    parts = [warnings, *map(_section, document.sections), f"_{document.legend}_"]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(section: TextSection) -> str:
    notes = "\n".join(f"- {escape(note)}" for note in (*section.notes, *section.footnotes))
    parts = (f"## {escape(section.heading)}", *map(_table, section.tables), notes)
    return "\n\n".join(part for part in parts if part)


def _table(table: TextTable) -> str:
    rows = list(zip(*map(_cells, table.columns), strict=True))
    if table.last:
        rows.append(tuple(f"_{escape(text)}_" if text else "" for text in table.last))
    return tabulate(
        rows,
        headers=[escape(column.heading) for column in table.columns],
        tablefmt="pipe",
        colalign=["right" if column.is_number else "left" for column in table.columns],
        disable_numparse=True,
    )


def _cells(column: TextColumn) -> list[str]:
    cells = enumerate(map(escape, column.values))
    return [f"**{text}**" if at in column.strong else text for at, text in cells]


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, HTML included.

    An underscore between letters has no meaning in GitHub's Markdown and stays readable.
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~$])", r"\\\1", text)
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)


def with_block(document: str, block: str) -> str:
    """Return a file's text with everything between the two marks replaced.

    Args:
        document: A Markdown file that has each mark once, on a line of its own.
        block: The leaderboard as Markdown.

    Raises:
        UserError: A mark is missing or repeated, or the end comes before the beginning.
    """
    lines = [line.strip() for line in document.splitlines()]
    if lines.count(BEGIN) != 1 or lines.count(END) != 1 or lines.index(BEGIN) > lines.index(END):
        raise UserError(f"put two lines where the leaderboard is to stand: {BEGIN} and {END}")
    kept = document.splitlines(keepends=True)
    before, after = kept[: lines.index(BEGIN)], kept[lines.index(END) + 1 :]
    ends = "\r\n" if kept[len(before)].endswith("\r\n") else "\n"
    new = f"{BEGIN}\n\n{block.strip()}\n\n{END}\n".replace("\n", ends)
    return "".join([*before, new, *after])
