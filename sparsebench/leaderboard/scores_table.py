"""The leaderboard as a document: headings, rounded numbers and marks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sparsebench.leaderboard.cost_columns import costs_shown
from sparsebench.leaderboard.footnotes import footnotes
from sparsebench.leaderboard.render.document import (
    ColumnKind,
    TextColumn,
    TextDocument,
    TextSection,
    TextTable,
)
from sparsebench.leaderboard.scores_records import content, records
from sparsebench.leaderboard.text import NOTHING, clean, count, percent, seeds_in_words
from sparsebench.results.verified import Verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sparsebench.leaderboard.board import Cell, Column, Failure, Group, Leaderboard, Row

FLAG = "†"
"""Marks scores of checkpoints that were selected on the split that is reported."""

CONSTANT = "‡"
"""Marks scores of runs that predict the same for all examples."""

BELOW = "§"
"""Marks averages that are not above that of the majority class."""

MAJORITY = "majority class"
"""The name of the closing row."""

RANK = (
    "1 + number of significantly better rows (paired t-tests, Holm-corrected, 5 % per group); "
    "bold: significantly better than all others"
)
VERIFIED = "recomputed from predictions, or rerun, by 'sparsebench verify'"
AVERAGE = "mean over tasks and seeds, ± half of its 95 % confidence interval"
TO_DENSE = (
    "difference to the row '{}', paired by task, seed and example, ± half of its 95 % confidence "
    "interval"
)
SEARCH_TRIALS = "number of settings tried on a held-out part"

EXPLAINED = ("rank", "sparsity", "act. density", "GMACs", "latency", "efficiency", "verified")
"""The headings whose meaning is in the legend; the others explain themselves."""


def scores_document(board: Leaderboard) -> TextDocument:
    """Return the leaderboard with one section per group."""
    sections = tuple(_section(group) for group in board.groups)
    return TextDocument(
        sections=sections,
        legend=_legend([column for section in sections for column in section.tables[0].columns]),
        warnings=tuple(_warnings(board)),
        records=tuple(records(board)),
        content=content(board),
    )


def heading(group: Group) -> str:
    """Return the heading of a group."""
    warning = " (selected on the split that is reported)" if group.flagged else ""
    seeds = seeds_in_words(group.seeds)
    return clean(f"{group.name} · protocol {group.protocol}{warning} · {seeds}")


def _section(group: Group) -> TextSection:
    return TextSection(
        heading=heading(group),
        tables=(TextTable(tuple(_columns(group))),),
        notes=tuple(_notes(group)),
        footnotes=tuple(footnotes(group.rows)),
    )


def _legend(columns: Sequence[TextColumn]) -> str:
    meanings = {column.heading: column.note for column in columns}
    parts = [f"{name}: {meanings[name]}." for name in EXPLAINED if name in meanings]
    costs = any(column.kind is ColumnKind.COST for column in columns)
    differences = next((note for name, note in meanings.items() if name.startswith("Δ ")), None)
    closing = any(column.last for column in columns)
    return " ".join(
        [
            "Scores are ×100, ± half of the 95 % confidence interval over seeds and examples.",
            *([f"Δ: {differences}; bold: it leaves out 0."] if differences else ()),
            *(["majority class: the most frequent label for every example."] if closing else ()),
            *parts,
            *(["Costs are medians over the runs."] if costs else ()),
        ]
    )


def _warnings(board: Leaderboard) -> Iterator[str]:
    if board.unreadable:
        number = len(board.unreadable)
        results = "1 result" if number == 1 else f"{number} results"
        yield f"{results} could not be read and are not in the averages"
        yield from map(clean, board.unreadable)


def _notes(group: Group) -> Iterator[str]:
    if group.flagged:
        yield f"{FLAG} the checkpoint was selected on the split that is reported"
    constant = list(_constant_cells(group))
    if constant:
        yield f"{CONSTANT} predicts the same for all examples: {'; '.join(constant)}"
    baseline = group.baseline
    if baseline is not None and any(map(group.is_below_baseline, group.rows)):
        average = percent(baseline)
        yield f"{BELOW} average not above that of the majority class of every task, {average}"
    yield from map(clean, group.notes)


def _constant_cells(group: Group) -> Iterator[str]:
    """Yield each row with the tasks on which runs predict the same for all examples."""
    for row in group.rows:
        tasks = [
            f"{clean(column.name)} ({_of_seeds(cell)})"
            for column, cell in zip(group.columns, row.cells, strict=True)
            if cell.constant
        ]
        if tasks:
            yield f"{clean(row.name)} on {', '.join(tasks)}"


def _of_seeds(cell: Cell) -> str:
    if len(cell.scores) == 1:
        return "its one seed"
    return f"{len(cell.constant)} of {len(cell.scores)} seeds"


def _columns(group: Group) -> Iterator[TextColumn]:
    """Yield the columns of a group, without those that no row has a value for."""
    rows, flag = group.rows, FLAG if group.flagged else ""
    baselines = [column.baseline for column in group.columns]
    name = _words(rows, "method", lambda row: row.name, kind=ColumnKind.NAME)
    yield replace(name, last=MAJORITY if any(each is not None for each in baselines) else "")
    if any(row.standing for row in rows):
        yield _numbers(rows, "rank", _rank, key=_rank_key, note=RANK)
    yield replace(_averages(group, flag), last=_percent(group.baseline))
    if any(row.to_dense for row in rows):
        yield _differences(group)
    for at, column in enumerate(group.columns):
        yield replace(_task(rows, at, column, flag), last=_percent(baselines[at]))
    for cost in costs_shown(group):
        numbers = _numbers(
            rows, cost.heading, cost.text, key=cost.shown or cost.key, note=cost.meaning
        )
        yield replace(numbers, kind=ColumnKind.COST)
    if any(row.search_trials for row in rows):
        trials = _numbers(
            rows,
            "search trials",
            lambda row: count(row.search_trials),
            key=lambda row: row.search_trials,
            note=SEARCH_TRIALS,
        )
        yield replace(trials, kind=ColumnKind.COST)
    if any(row.verified is not Verified.REPORTED for row in rows):
        yield replace(_words(rows, "verified", lambda row: row.verified_in_words), note=VERIFIED)
    yield _words(rows, "status", lambda row: row.status)


def _words(
    rows: Sequence[Row],
    heading: str,
    text: Callable[[Row], str],
    *,
    kind: ColumnKind = ColumnKind.SCORE,
) -> TextColumn:
    values = tuple(clean(text(row)) for row in rows)
    return TextColumn(heading, kind, values, is_number=False, keys=values)


def _numbers(
    rows: Sequence[Row],
    heading: str,
    text: Callable[[Row], str],
    *,
    key: Callable[[Row], float | None],
    note: str,
) -> TextColumn:
    values = tuple(clean(text(row)) for row in rows)
    keys = tuple(map(key, rows))
    return TextColumn(clean(heading), ColumnKind.SCORE, values, keys=keys, note=note)


def _percent(score: float | None) -> str:
    return "" if score is None else percent(score)


def _differences(group: Group) -> TextColumn:
    """Return the paired differences to the dense row; significant ones are emphasised."""
    numbers = _numbers(
        group.rows,
        f"Δ {group.dense}",
        _difference,
        key=lambda row: row.to_dense.value if row.to_dense else None,
        note=TO_DENSE.format(clean(group.dense or "")),
    )
    found = (
        at for at, row in enumerate(group.rows) if row.to_dense and row.to_dense.is_significant
    )
    return replace(numbers, strong=frozenset(found))


def _difference(row: Row) -> str:
    found = row.to_dense
    if found is None:
        return NOTHING
    sign = "\N{MINUS SIGN}" if found.value < 0 else "+"
    return f"{sign}{percent(abs(found.value))} ± {percent(found.half_width)}"


def _averages(group: Group, flag: str) -> TextColumn:
    rows = group.rows
    numbers = _numbers(
        rows,
        "average",
        lambda row: _average(row, f"{flag}{BELOW if group.is_below_baseline(row) else ''}"),
        key=lambda row: row.average.value if row.average else None,
        note=AVERAGE,
    )
    alone = (
        at
        for at, row in enumerate(rows)
        if row.standing and row.standing.rank == 1 and row.standing.alone
    )
    return replace(numbers, strong=frozenset(alone))


def _task(rows: Sequence[Row], at: int, column: Column, flag: str) -> TextColumn:
    return _numbers(
        rows,
        column.name,
        lambda row: _score(row.cells[at], flag),
        key=lambda row: row.cells[at].mean,
        note=", ".join(column.metrics),
    )


def _rank_key(row: Row) -> float | None:
    return row.standing.rank if row.standing else None


def _rank(row: Row) -> str:
    return str(row.standing.rank) if row.standing else NOTHING


def _average(row: Row, flag: str) -> str:
    if row.average is None:
        return NOTHING
    interval = row.average.confidence_interval
    half = f" ± {percent(interval.half_width)}" if interval else ""
    return f"{percent(row.average.value)}{half}{flag}"


def _score(cell: Cell, flag: str) -> str:
    if cell.mean is not None:
        return f"{percent(cell.mean)}{flag}{CONSTANT if cell.constant else ''}"
    kinds: dict[str, list[Failure]] = {}
    for failure in cell.failures:
        kinds.setdefault(failure.kind, []).append(failure)
    if len(kinds) == 1 and not cell.scores:
        return next(iter(kinds))
    return ", ".join(
        f"{kind} {seeds_in_words([failure.seed for failure in failures])}"
        for kind, failures in sorted(kinds.items())
    )
