"""LaTeX with booktabs: a ``table*`` per table, in which no name can become a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparsebench.leaderboard.render.document import (
        TextColumn,
        TextDocument,
        TextSection,
        TextTable,
    )

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
    "‡": r"$\ddagger$",
    "§": r"\S{}",
    "Δ": r"$\Delta$",
    "\N{MINUS SIGN}": r"$-$",
    "…": r"\dots{}",
}


def to_latex(document: TextDocument) -> str:
    """Return LaTeX that requires the package booktabs."""
    warnings = "\n".join(f"% {line}" for line in document.warnings)
    tables = [_table(section, table) for section in document.sections for table in section.tables]
    parts = [warnings, *tables, f"% {document.legend}"]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    """Return text that LaTeX typesets as it is."""
    return "".join(_SPECIAL.get(char, char) for char in text)


def _table(section: TextSection, table: TextTable) -> str:
    """Return a table with the section's heading as caption; the last one has its notes, too."""
    notes = section.notes if table is section.tables[-1] else ()
    caption = " ".join([f"{section.heading}.", *(f"{note}." for note in notes)])
    sides = "".join("r" if column.is_number else "l" for column in table.columns)
    headings = " & ".join(escape(column.heading) for column in table.columns)
    rows = (" & ".join(row) for row in zip(*map(_cells, table.columns), strict=True))
    last = " & ".join(map(escape, table.last))
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
            *((r"\midrule", rf"{{}}{last} \\") if table.last else ()),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table*}",
        ]
    )


def _cells(column: TextColumn) -> list[str]:
    cells = enumerate(map(escape, column.values))
    return [rf"\textbf{{{text}}}" if at in column.strong else text for at, text in cells]
