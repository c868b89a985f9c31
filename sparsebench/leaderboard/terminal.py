"""The table for a terminal: one where it fits, else scores and costs one below the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from sparsebench.leaderboard.text import Kind, heading, legend, notes, text_columns, warnings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType

    from sparsebench.leaderboard.table import Table
    from sparsebench.leaderboard.text import TextColumn


class TerminalTable:
    """A leaderboard that a rich console can print.

    Args:
        table: The leaderboard.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        """Yields each group, then what the columns mean."""
        for line in warnings(self._table):
            yield Text(line, style="red")
        shown = [text_columns(group) for group in self._table.groups]
        for group, columns in zip(self._table.groups, shown, strict=True):
            yield Text(heading(group), style="bold")
            yield from _fitting(columns, console=console, options=options)
            for note in notes(group):
                yield Text(f"• {note}", style="yellow")
            yield Text()
        yield Text(legend(shown), style="dim")


def _fitting(
    columns: Sequence[TextColumn], *, console: Console, options: ConsoleOptions
) -> Iterator[RenderableType]:
    """Yields one table if the columns fit beside each other, else as few as they do fit in."""

    def fits(some: Sequence[TextColumn]) -> bool:
        unbounded = options.update(width=100_000)
        natural = Measurement.get(console, unbounded, _rich_table(some)).maximum
        return natural <= options.max_width

    if fits(columns):
        yield _rich_table(columns)
        return
    name, *others = columns
    for kind in (Kind.SCORE, Kind.COST):
        page = [name]
        for column in others:
            if column.kind is not kind:
                continue
            if len(page) > 1 and not fits([*page, column]):
                yield _rich_table(page)
                page = [name]
            page.append(column)
        yield _rich_table(page)


def _rich_table(columns: Sequence[TextColumn]) -> RichTable:
    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        justify: JustifyMethod = "right" if column.is_number else "left"
        table.add_column(Text(column.heading), justify=justify, overflow="fold")
    for at, values in enumerate(zip(*(column.values for column in columns), strict=True)):
        styles = ("bold" if at in column.strong else "" for column in columns)
        table.add_row(*map(Text, values, styles))
    return table
