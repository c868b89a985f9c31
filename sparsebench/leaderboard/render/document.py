"""The table model that every renderer reads, for scores and for costs alike.

A document holds sections, a section tables and notes, a table columns of formatted text. The same
numbers unformatted are its ``records`` (flat, for CSV) and its ``content`` (nested, for JSON).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

SortKey = float | str | None

Value = str | int | float | bool | None

FlatRecord = Mapping[str, Value]
"""A line of CSV: name of a field -> value, None where missing."""


class ColumnKind(StrEnum):
    """The subject of a column; a narrow terminal shows each kind in tables of its own."""

    NAME = "name"
    """The name of a row; first, and repeated where a table is cut."""

    SCORE = "score"
    """Scores, and the status of runs."""

    COST = "cost"
    """Costs, and conditions they were measured under."""


@dataclass(frozen=True)
class TextColumn:
    """A column of formatted text, neither escaped nor padded.

    Attributes:
        heading: Its heading.
        kind: Its subject.
        values: One per row.
        is_number: True to align right.
        strong: The places of the rows whose value is emphasised.
        keys: The values that rows are sorted by, one per row, None where missing; or none at all.
        note: The meaning of the column in a few words.
        last: Its value in a closing row that is not ranked, sorted or filtered; empty for none.
    """

    heading: str
    kind: ColumnKind
    values: tuple[str, ...]
    is_number: bool = True
    strong: frozenset[int] = frozenset()
    keys: tuple[SortKey, ...] = ()
    note: str = ""
    last: str = ""


@dataclass(frozen=True)
class TextTable:
    """A table; the columns of kind ``NAME`` come first."""

    columns: tuple[TextColumn, ...]

    @property
    def names(self) -> tuple[TextColumn, ...]:
        """The columns that name a row."""
        return tuple(column for column in self.columns if column.kind is ColumnKind.NAME)

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The cells, row by row."""
        return list(zip(*(column.values for column in self.columns), strict=True))

    @property
    def last(self) -> tuple[str, ...]:
        """The cells of the closing row; none without it."""
        cells = tuple(column.last for column in self.columns)
        return cells if any(cells) else ()


@dataclass(frozen=True)
class TextSection:
    """Rows that can be compared.

    Attributes:
        heading: What they have in common: the backbone, the protocol or the conditions.
        tables: One table, or several about the same rows.
        notes: Failures, gaps and differences, one line each.
        footnotes: Where the rows come from, one line each; for documents that are read later.
    """

    heading: str
    tables: tuple[TextTable, ...]
    notes: tuple[str, ...] = ()
    footnotes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TextDocument:
    """Everything that a renderer shows.

    Attributes:
        sections: In the order they are shown.
        legend: The meaning of the columns.
        warnings: What concerns all sections, a headline first.
        records: The raw numbers, flat.
        content: The raw numbers, nested.
    """

    sections: tuple[TextSection, ...]
    legend: str
    warnings: tuple[str, ...] = ()
    records: tuple[FlatRecord, ...] = ()
    content: Mapping[str, Any] = field(default_factory=dict)
