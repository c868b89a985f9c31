"""How the table reads: headings, rounded numbers and marks, shared by what people look at."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from sparsebench.leaderboard.costs import NOTHING, costs_shown
from sparsebench.leaderboard.notes import seeds_in_words
from sparsebench.results.verified import Verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sparsebench.leaderboard.table import Cell, Column, Failure, Group, Row, Table

Key = float | str | None

FLAG = "†"
_MEANINGS = {
    "rank": "1 plus the number of rows that are better and separated from it, by paired t-tests "
    "over seeds and examples with Holm's correction, 5 % for the whole group; bold beats all so",
    "trainable": "share of the backbone's parameters, and their number, the head apart",
    "sparsity": "share of the weights in the blocks that is zero or gone",
    "density": "share of the activations in feed-forward networks that is larger than 0.001",
    "GMACs": "multiply-adds of all matrix products of one sequence, attention included, in 10⁹",
    "latency": "of the deployed model over that of the untouched backbone; below 1 is faster; "
    "noisy where its samples scatter",
    "realised": "measured speed-up over that which skipping every zero would give",
    "train MiB": "peak growth of memory in training",
    "infer MiB": "peak growth of memory in inference",
    "steps": "of the optimizer: the budget",
    "trials": "that the settings were chosen from, on a held-out part",
    "evidence": "reported; recomputed from stored predictions, or rerun, by 'sparsebench verify'",
}
"""Heading of a column -> what it means."""


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
        strong: The rows whose value stands out.
        keys: What rows are sorted by, best or least first; None for values that are missing.
        note: What the column means, in a few words.
    """

    heading: str
    kind: Kind
    values: tuple[str, ...]
    is_number: bool = True
    strong: frozenset[int] = frozenset()
    keys: tuple[Key, ...] = ()
    note: str = ""


def heading(group: Group) -> str:
    """Returns what stands above a group."""
    warning = " (selected on the split that is reported)" if group.flagged else ""
    seeds = seeds_in_words(group.seeds)
    return clean(f"{group.name} · protocol {group.protocol}{warning} · {seeds}")


def legend(groups: Iterable[Sequence[TextColumn]]) -> str:
    """Returns what the columns of all groups mean, those that are there."""
    columns = [column for group in groups for column in group]
    shown = {column.heading for column in columns}
    told = [f"{heading}: {meaning}." for heading, meaning in _MEANINGS.items() if heading in shown]
    medians = "Costs are medians over the runs."
    return " ".join(
        [
            "Scores are ×100; ± is half of the 95 % interval, over seeds and examples.",
            *told,
            *([medians] if any(column.kind is Kind.COST for column in columns) else ()),
        ]
    )


def text_columns(group: Group) -> list[TextColumn]:
    """Returns the columns of a group, in the order they are shown; none that says nothing."""
    rows, flag = group.rows, FLAG if group.flagged else ""
    columns = [_words(rows, "method", lambda row: row.name, kind=Kind.NAME)]
    if any(row.standing for row in rows):
        columns.append(_numbers(rows, "rank", Kind.SCORE, _rank, key=_rank_key))
    columns.append(_averages(rows, flag))
    columns += [_task(rows, at, column, flag) for at, column in enumerate(group.columns)]
    columns += [
        _numbers(rows, cost.heading, Kind.COST, cost.text, key=cost.shown or cost.key)
        for cost in costs_shown(group)
    ]
    if any(row.trials for row in rows):
        columns.append(_numbers(rows, "trials", Kind.COST, _tried, key=lambda row: row.trials))
    if any(row.evidence is not Verified.REPORTED for row in rows):
        columns.append(_words(rows, "evidence", lambda row: row.evidence.value, kind=Kind.SCORE))
    columns.append(_words(rows, "status", lambda row: row.status, kind=Kind.SCORE))
    return columns


def _words(
    rows: Sequence[Row], heading: str, text: Callable[[Row], str], *, kind: Kind
) -> TextColumn:
    values = tuple(clean(text(row)) for row in rows)
    return TextColumn(heading, kind, values, is_number=False, keys=values)


def _numbers(
    rows: Sequence[Row],
    heading: str,
    kind: Kind,
    text: Callable[[Row], str],
    *,
    key: Callable[[Row], float | None],
    note: str | None = None,
) -> TextColumn:
    values = tuple(clean(text(row)) for row in rows)
    means = _MEANINGS.get(heading, "") if note is None else note
    return TextColumn(clean(heading), kind, values, keys=tuple(map(key, rows)), note=means)


def _averages(rows: Sequence[Row], flag: str) -> TextColumn:
    return replace(
        _numbers(
            rows,
            "average",
            Kind.SCORE,
            lambda row: _average(row, flag),
            key=lambda row: row.average.value if row.average else None,
            note="mean over tasks and seeds, with half of its 95 % interval",
        ),
        strong=frozenset(
            at
            for at, row in enumerate(rows)
            if row.standing and row.standing.rank == 1 and row.standing.alone
        ),
    )


def _task(rows: Sequence[Row], at: int, column: Column, flag: str) -> TextColumn:
    return _numbers(
        rows,
        column.name,
        Kind.SCORE,
        lambda row: _score(row.cells[at], flag),
        key=lambda row: row.cells[at].mean,
        note=", ".join(column.metrics),
    )


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


def _tried(row: Row) -> str:
    return NOTHING if row.trials is None else str(row.trials)


def _rank_key(row: Row) -> float | None:
    return row.standing.rank if row.standing else None


def _rank(row: Row) -> str:
    return str(row.standing.rank) if row.standing else NOTHING


def _average(row: Row, flag: str) -> str:
    if row.average is None:
        return NOTHING
    sureness = row.average.sureness
    apart = f" ± {percent(sureness.half_width)}" if sureness else ""
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
