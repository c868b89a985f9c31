"""The notes under a table: what failed and why, and what keeps rows from being compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparsebench.leaderboard.figures import conditions
from sparsebench.leaderboard.rows import belongs
from sparsebench.leaderboard.run_terms import Facts, common, differences, group_by, term_facts
from sparsebench.leaderboard.table import MISSING
from sparsebench.results.records import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sparsebench.leaderboard.rows import RowRuns
    from sparsebench.leaderboard.table import Column, Failure, Row
    from sparsebench.results.records import RunResult


NAMED = 20
"""Rows of a group up to which those that are separated are named."""


def notes_of(
    rows: Sequence[Row], *, sources: Sequence[RowRuns], columns: Sequence[Column]
) -> list[str]:
    """Returns the notes of a group, one line each, the gravest first."""
    return [
        *_missing(rows, columns),
        *_failed(rows, columns),
        *_doubles(sources),
        *_told_apart(sources),
        *_unequal_terms(sources, columns),
        *_unequal_conditions(sources),
        *_retried(sources),
        *_unmeasured(sources),
    ]


def seeds_in_words(seeds: Sequence[int]) -> str:
    """Returns ``seed 1`` or ``seeds 1, 2``."""
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def _missing(rows: Sequence[Row], columns: Sequence[Column]) -> Iterator[str]:
    for row in rows:
        gaps = []
        for column, cell in zip(columns, row.cells, strict=True):
            seeds = [failure.seed for failure in cell.failures if failure.kind == MISSING]
            if seeds:
                gaps.append(f"{column.name} {seeds_in_words(seeds)}")
        if gaps:
            yield f"{row.name}: no result for {'; '.join(gaps)}"


def _failed(rows: Sequence[Row], columns: Sequence[Column]) -> Iterator[str]:
    """Yields each failure once: the same in many rows is told together."""
    told: dict[tuple[str, str], list[str]] = {}
    for place, column in enumerate(columns):
        for row in rows:
            tried = [failure for failure in row.cells[place].failures if failure.kind != MISSING]
            for what, alike in group_by(tried, _what).items():
                where = f"{column.name} {seeds_in_words([failure.seed for failure in alike])}"
                told.setdefault((where, what), []).append(row.name)
    for (where, what), names in told.items():
        yield f"{', '.join(names)} on {where}: {what}"


def _what(failure: Failure) -> str:
    return f"{failure.kind}: {failure.reason}"


def _doubles(sources: Sequence[RowRuns]) -> Iterator[str]:
    for source in sources:
        tried = [run for run in source.runs if run.status is not Status.SKIPPED]
        for runs in group_by(tried, lambda run: run.key).values():
            if len(runs) > 1:
                yield f"{len(runs)} results of {runs[0].spec.title}: the newest is shown"


def _told_apart(sources: Sequence[RowRuns]) -> Iterator[str]:
    for label, rows in group_by(sources, lambda source: source.label).items():
        if len(rows) > 1:
            for difference in _differences({row.name: row.facts for row in rows}):
                yield f"{label} has {len(rows)} rows: {difference}"


def _unequal_terms(sources: Sequence[RowRuns], columns: Sequence[Column]) -> Iterator[str]:
    """Yields in what the terms of rows differ on a task; the same on many tasks is told once."""
    told: dict[str, list[str]] = {}
    for column in columns:
        facts = {}
        for source in sources:
            runs = [run for run in source.runs if belongs(run, column)]
            tried = [run for run in runs if run.status is not Status.SKIPPED]
            if tried:
                facts[source.name] = common(term_facts(run.spec) for run in tried)
        for difference in _differences(facts):
            told.setdefault(difference, []).append(column.name)
    for difference, tasks in told.items():
        yield f"not on equal terms ({', '.join(tasks)}): {difference}"


def _unequal_conditions(sources: Sequence[RowRuns]) -> Iterator[str]:
    found: dict[str, dict[str, dict[str, None]]] = {}
    for source in sources:
        for run in source.runs:
            for key, value in conditions(run).items():
                found.setdefault(key, {}).setdefault(value, {})[source.name] = None
    for key, values in sorted(found.items()):
        if len(values) > 1:
            told = {value: list(names) for value, names in values.items()}
            yield f"costs under different conditions: {key} {_in_words(told)}"


def _retried(sources: Sequence[RowRuns]) -> Iterator[str]:
    told: dict[int, list[str]] = {}
    for source in sources:
        for run in source.runs:
            if run.retried:
                where = f"{source.name} on {run.spec.task} seed {run.spec.seed}"
                told.setdefault(run.retried.micro_batch_size, []).append(where)
    for size, runs in sorted(told.items()):
        yield (
            f"{', '.join(runs)}: out of memory at first, then made in micro-batches of {size}: the "
            "same examples a step, but other times and peaks"
        )


def _unmeasured(sources: Sequence[RowRuns]) -> Iterator[str]:
    told: dict[tuple[str, str], list[str]] = {}
    for source in sources:
        for run in source.runs:
            for part, reason in _gaps(run):
                names = told.setdefault((part, reason), [])
                names += [] if source.name in names else [source.name]
    for (part, reason), names in sorted(told.items()):
        yield f"{part} of {', '.join(names)}: not measured: {reason}"


def _gaps(run: RunResult) -> list[tuple[str, str]]:
    if run.status is not Status.OK:
        return []
    if run.costs is None:
        return [("costs", "the result has none")]
    reasons, parts = run.costs.missing, ("parameters", "flops", "latency", "memory")
    return [
        (part, reasons.get(part, "no reason was recorded"))
        for part in parts
        if getattr(run.costs, part) is None
    ]


def _differences(facts: dict[str, Facts]) -> Iterator[str]:
    for key, values in differences(facts).items():
        yield f"{key} {_in_words(values)}"


def _in_words(values: dict[str, list[str]]) -> str:
    told = (f"{value} for {', '.join(names)}" for value, names in sorted(values.items()))
    return f"is {'; '.join(told)}"


def _separated(rows: Sequence[Row]) -> Iterator[str]:
    """Yields which rows are better than which, where there are few enough to name."""
    told: dict[tuple[str, ...], list[str]] = {}
    for row in rows if len(rows) <= NAMED else ():
        beaten = tuple(other.name for other in rows if row.name in other.worse_than)
        if beaten:
            told.setdefault(beaten, []).append(row.name)
    if told:
        pairs = (f"{', '.join(names)} from {', '.join(beaten)}" for beaten, names in told.items())
        yield f"better and separated: {'; '.join(pairs)}"


def sureness_notes(
    rows: Sequence[Row], *, columns: Sequence[Column], seeds: Sequence[int]
) -> Iterator[str]:
    """Yields what the intervals and ranks of a group do not know."""
    counts = group_by(rows, lambda row: str(row.trials or "unknown"))
    if len(counts) > 1:
        told = {trials: [row.name for row in alike] for trials, alike in counts.items()}
        yield f"not tuned alike: the number of trials {_in_words(told)}"
    yield from _separated(rows)
    scored = [row for row in rows if row.average]
    if len(seeds) == 1 and len(scored) > 1:
        yield (
            "one seed: intervals know the choice of examples alone, and methods have no ranks; "
            "a run with another seed may score otherwise"
        )
    unknown = [
        column.name
        for place, column in enumerate(columns)
        if any(
            cell.mean is not None
            and (cell.sureness is None or cell.sureness.sampling_error is None)
            for cell in (row.cells[place] for row in rows)
        )
    ]
    if unknown and len(seeds) > 1:
        yield (
            f"{', '.join(unknown)}: intervals know the seeds alone, and so does their part in that "
            "of the average, for what each example does to the score is not known"
        )
