"""How the table reads: headings, rounded numbers and marks, shared by what people look at."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sparsebench.leaderboard.notes import seeds_in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sparsebench.leaderboard.table import Cell, Failure, Group, Row, Table

NOTHING = "—"
FLAG = "†"
MIB = 2**20
NAMED = 2
"""Operators that are named in a cell; the rest are counted."""

LEGEND = (
    "Scores are ×100; ± is the standard deviation over seeds. "
    "trainable: share of the backbone's parameters, and their number, the head apart. "
    "GMACs: multiply-adds of all matrix products of one sequence, attention included, in 10⁹. "
    "latency: of the deployed model over that of the untouched backbone; below 1 is faster; "
    "noisy where its samples scatter. MiB: peak growth of memory. Costs are medians over the runs."
)
"""What the columns mean."""


class Kind(StrEnum):
    """What a column shows."""

    NAME = "name"
    """Which row it is."""

    SCORE = "score"
    """How good it is, and how its runs went."""

    COST = "cost"
    """What it costs."""


@dataclass(frozen=True)
class TextColumn:
    """A column as it is read: neither escaped nor padded.

    Attributes:
        heading: What stands above it.
        kind: What it shows.
        values: One a row.
        is_number: Whether it is set flush right.
    """

    heading: str
    kind: Kind
    values: tuple[str, ...]
    is_number: bool = True


def heading(group: Group) -> str:
    """Returns what stands above a group."""
    warning = " (selected on the split that is reported)" if group.flagged else ""
    seeds = seeds_in_words(group.seeds)
    return clean(f"{group.name} · protocol {group.protocol}{warning} · {seeds}")


def text_columns(group: Group) -> list[TextColumn]:
    """Returns the columns of a group, in the order they are shown."""

    def column(
        heading: str, kind: Kind, text: Callable[[Row], str], *, is_number: bool = True
    ) -> TextColumn:
        values = tuple(clean(text(row)) for row in group.rows)
        return TextColumn(clean(heading), kind, values, is_number)

    flag = FLAG if group.flagged else ""
    return [
        column("method", Kind.NAME, lambda row: row.name, is_number=False),
        column("average", Kind.SCORE, lambda row: _average(row, flag)),
        *(
            column(task.name, Kind.SCORE, lambda row, at=at: _score(row.cells[at], flag))  # type: ignore[misc]
            for at, task in enumerate(group.columns)
        ),
        column("trainable", Kind.COST, _trainable),
        column("GMACs", Kind.COST, _gmacs),
        column("latency", Kind.COST, _latency),
        column("train MiB", Kind.COST, lambda row: _mebibytes(row.figures.training_bytes)),
        column("infer MiB", Kind.COST, lambda row: _mebibytes(row.figures.inference_bytes)),
        column("status", Kind.SCORE, lambda row: row.status, is_number=False),
    ]


def notes(group: Group) -> Iterator[str]:
    """Yields the notes of a group, with those that explain its marks."""
    if group.flagged:
        yield f"{FLAG} the checkpoint was selected on the split that is reported"
    yield from (clean(note) for note in group.notes)


def warnings(table: Table) -> list[str]:
    """Returns what must be known to read the whole table, a headline first; mostly nothing."""
    if not table.unreadable:
        return []
    count = len(table.unreadable)
    results = "1 result" if count == 1 else f"{count} results"
    headline = f"{results} could not be read; the averages do not know of them"
    return [headline, *map(clean, table.unreadable)]


def clean(text: str, *, limit: int = 400) -> str:
    """Returns text on one line, without characters that steer a terminal or hide others."""
    kept = (char if _prints(char) else " " for char in text[: 2 * limit])
    line = " ".join("".join(kept).split())
    return line if len(line) <= limit else f"{line[:limit]}…"


def percent(score: float) -> str:
    """Returns a score as tables show it: ×100 with one digit."""
    return f"{round(100 * score, 1) + 0.0:.1f}"


def _prints(char: str) -> bool:
    return unicodedata.category(char)[0] not in "CZ" or char == " "


def _average(row: Row, flag: str) -> str:
    if row.average is None:
        return NOTHING
    apart = "" if row.average.spread is None else f" ± {percent(row.average.spread)}"
    return f"{percent(row.average.value)}{apart}{flag}"


def _score(cell: Cell, flag: str) -> str:
    if cell.mean is not None:
        return f"{percent(cell.mean)}{flag}"
    kinds: dict[str, list[Failure]] = {}
    for failure in cell.failures:
        kinds.setdefault(failure.kind, []).append(failure)
    if len(kinds) == 1 and not cell.scores:
        return next(iter(kinds))
    return ", ".join(
        f"{kind} {seeds_in_words([failure.seed for failure in failures])}"
        for kind, failures in sorted(kinds.items())
    )


def _trainable(row: Row) -> str:
    share, count = row.figures.trainable_share, row.figures.trainable
    if share is None or count is None:
        return NOTHING if count is None else f"{count:,}"
    return f"{_significant(100 * share, digits=3)} % ({count:,})"


def _gmacs(row: Row) -> str:
    if row.figures.macs is None:
        return NOTHING
    amount = _significant(row.figures.macs / 1e9, digits=4)
    first, more = row.figures.unverified[:NAMED], len(row.figures.unverified[NAMED:])
    why = ", ".join([*first, f"{more} more"] if more else first)
    return f"{amount} unverified: {why}" if why else amount


def _latency(row: Row) -> str:
    if row.figures.latency_ratio is None:
        return NOTHING
    return f"{row.figures.latency_ratio:.2f}×{' noisy' if row.figures.noisy else ''}"


def _mebibytes(count: int | None) -> str:
    return NOTHING if count is None else f"{_significant(count / MIB, digits=3)}"


def _significant(value: float, *, digits: int) -> str:
    return (
        f"{value:,.0f}" if value == 0 or value >= 10**digits else f"{value:#.{digits}g}".rstrip(".")
    )
