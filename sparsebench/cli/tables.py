"""Tables for people on a terminal, and plain columns where the output goes to a file or a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text
from tabulate import tabulate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console


def print_table(console: Console, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints rows under headings; a pipe gets one line a row, whatever its length."""
    if not console.is_terminal:
        text = tabulate(list(rows), headers=list(columns), tablefmt="plain", disable_numparse=True)
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
