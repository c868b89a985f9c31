"""Tables for a terminal: each as one where it fits, else cut into as few as do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from sparsebench.leaderboard.render.document import ColumnKind, TextTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType

    from sparsebench.leaderboard.render.document import TextDocument


class TerminalDocument:
    """A document that a rich console can print.

    Args:
        document: The document.
    """

    def __init__(self, document: TextDocument) -> None:
        self._document = document

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        """Yield warnings, then each section with its tables and notes, then the legend."""
        for line in self._document.warnings:
            yield Text(line, style="red")
        for section in self._document.sections:
            yield Text(section.heading, style="bold")
            for table in section.tables:
                yield from _fitting(table, console=console, options=options)
            for note in section.notes:
                yield Text(f"• {note}", style="yellow")
            yield Text()
        yield Text(self._document.legend, style="dim")


def _fitting(
    table: TextTable, *, console: Console, options: ConsoleOptions
) -> Iterator[RenderableType]:
    """Yield the table if it fits, else tables of one kind of column that do, names repeated."""

    def fits(some: TextTable) -> bool:
        unbounded = options.update(width=100_000)
        natural = Measurement.get(console, unbounded, _rich_table(some)).maximum
        return natural <= options.max_width

    if fits(table):
        yield _rich_table(table)
        return
    names = table.names
    for kind in (ColumnKind.SCORE, ColumnKind.COST):
        part = names
        for column in table.columns:
            if column.kind is not kind:
                continue
            if part != names and not fits(TextTable((*part, column))):
                yield _rich_table(TextTable(part))
                part = names
            part = (*part, column)
        if part != names:
            yield _rich_table(TextTable(part))


def _rich_table(table: TextTable) -> RichTable:
    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        justify: JustifyMethod = "right" if column.is_number else "left"
        shown.add_column(Text(column.heading), justify=justify, overflow="fold")
    for at, values in enumerate(table.rows):
        styles = ("bold" if at in column.strong else "" for column in table.columns)
        shown.add_row(*map(Text, values, styles))
    if table.last:
        shown.add_row(*(Text(text, style="dim italic") for text in table.last))
    return shown
