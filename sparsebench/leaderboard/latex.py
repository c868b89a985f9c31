"""The table as LaTeX, with booktabs: a ``table*`` a group, in which no name can give a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparsebench.leaderboard.text import heading, legend, notes, text_columns, warnings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsebench.leaderboard.table import Group, Table
    from sparsebench.leaderboard.text import TextColumn

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "—": "---",
    "·": r"$\cdot$",
    "†": r"$\dagger$",
    "…": r"\dots{}",
    "⁹": r"$^9$",
}


def render(table: Table) -> str:
    """Returns LaTeX that takes the package booktabs."""
    lines = [f"% {line}" for line in warnings(table)]
    columns = [text_columns(group) for group in table.groups]
    parts = ["\n".join(lines), *map(_table, table.groups, columns), f"% {legend(columns)}"]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    """Returns text that LaTeX sets as it is."""
    return "".join(_SPECIAL.get(char, char) for char in text)


def _table(group: Group, columns: Sequence[TextColumn]) -> str:
    sides = "".join("r" if column.is_number else "l" for column in columns)
    headings = " & ".join(escape(column.heading) for column in columns)
    rows = (" & ".join(row) for row in zip(*map(_cells, columns), strict=True))
    caption = " ".join([f"{heading(group)}.", *(f"{note}." for note in notes(group))])
    return "\n".join(
        [
            r"\begin{table*}",
            r"\centering\small",
            rf"\caption{{{escape(caption)}}}",
            rf"\begin{{tabular}}{{{sides}}}",
            r"\toprule",
            rf"{headings} \\",
            r"\midrule",
            *(rf"{{}}{row} \\" for row in rows),  # else \\ takes a name in brackets, or a star
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table*}",
        ]
    )


def _cells(column: TextColumn) -> list[str]:
    cells = enumerate(map(escape, column.values))
    return [rf"\textbf{{{text}}}" if at in column.strong else text for at, text in cells]
