"""The notes below a table: failures with their reasons, and differences that limit comparison."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from sparsebench.leaderboard.board import MISSING
from sparsebench.leaderboard.build.cost_summary import conditions
from sparsebench.leaderboard.build.rows import belongs
from sparsebench.leaderboard.build.run_terms import (
    RunTerms,
    common,
    differences,
    group_by,
    training_terms,
)
from sparsebench.leaderboard.text import seeds_in_words
from sparsebench.results.records import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sparsebench.leaderboard.board import Column, Failure, Row
    from sparsebench.leaderboard.build.rows import RowRuns
    from sparsebench.results.records import RunResult, TeacherRecord, TrainingRecord


NAMED = 20
"""The most rows of a group for which significant differences are listed by name."""


def notes_of(
    rows: Sequence[Row], *, sources: Sequence[RowRuns], columns: Sequence[Column]
) -> list[str]:
    """Return the notes on failures, terms and costs, one line each, the gravest first."""
    return [
        *_missing(rows, columns),
        *_failed(rows, columns),
        *_doubles(sources),
        *_several_rows(sources),
        *_unequal_terms(sources, columns),
        *_unequal_conditions(sources),
        *_retried(sources),
        *_poolers(sources),
        *_teachers(sources),
        *_remarks(sources),
        *_unmeasured(sources),
    ]


def _poolers(sources: Sequence[RowRuns]) -> Iterator[str]:
    poolers = {run.spec.pooler for source in sources for run in source.runs}
    if "head" in poolers:
        some = "of some runs " if None in poolers else ""
        yield f"pooler {some}never pretrained: it trains as part of the task head"


def _teachers(sources: Sequence[RowRuns]) -> Iterator[str]:
    """Yield what each row and its teacher cost to train."""
    for source in sources:
        taught = [run for run in source.runs if run.teacher and run.training]
        for name, runs in group_by(taught, _teacher_name).items():
            own = _training_costs([run.training for run in runs])
            cost = _training_costs([run.teacher for run in runs])
            yield f"{source.name} learns from {name}: its training {own}, that of {name} {cost}"


def _teacher_name(run: RunResult) -> str:
    return run.teacher.name if run.teacher else ""


def _training_costs(records: Sequence[TrainingRecord | TeacherRecord | None]) -> str:
    """Return the median steps and seconds of training."""
    steps = [each.steps for each in records if each and each.steps is not None]
    seconds = [each.seconds for each in records if each and each.seconds is not None]
    if not steps or not seconds:
        return "not recorded"
    return f"{statistics.median(steps):,.0f} steps in {statistics.median(seconds):,.3g} s"


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
    """Yield each failure once, with the rows that share it."""
    rows_with: dict[tuple[str, str], list[str]] = {}
    for place, column in enumerate(columns):
        for row in rows:
            tried = [failure for failure in row.cells[place].failures if failure.kind != MISSING]
            for failure, alike in group_by(tried, _failure).items():
                where = f"{column.name} {seeds_in_words([failure.seed for failure in alike])}"
                rows_with.setdefault((where, failure), []).append(row.name)
    for (where, failure), names in rows_with.items():
        yield f"{', '.join(names)} on {where}: {failure}"


def _failure(failure: Failure) -> str:
    return f"{failure.kind}: {failure.reason}"


def _doubles(sources: Sequence[RowRuns]) -> Iterator[str]:
    for source in sources:
        tried = [run for run in source.runs if run.status is not Status.SKIPPED]
        for runs in group_by(tried, lambda run: run.key).values():
            if len(runs) > 1:
                yield f"{len(runs)} results of {runs[0].spec.title}: the newest is shown"


def _several_rows(sources: Sequence[RowRuns]) -> Iterator[str]:
    for label, rows in group_by(sources, lambda source: source.label).items():
        if len(rows) > 1:
            for difference in _differences({row.name: row.terms for row in rows}):
                yield f"{label} has {len(rows)} rows: {difference}"


def _unequal_terms(sources: Sequence[RowRuns], columns: Sequence[Column]) -> Iterator[str]:
    """Yield each difference between the terms of rows once, with the tasks that it concerns."""
    tasks_with: dict[str, list[str]] = {}
    for column in columns:
        terms = {}
        for source in sources:
            runs = [run for run in source.runs if belongs(run, column)]
            tried = [run for run in runs if run.status is not Status.SKIPPED]
            if tried:
                terms[source.name] = common(training_terms(run.spec) for run in tried)
        for difference in _differences(terms):
            tasks_with.setdefault(difference, []).append(column.name)
    for difference, tasks in tasks_with.items():
        yield f"not on equal terms ({', '.join(tasks)}): {difference}"


def _unequal_conditions(sources: Sequence[RowRuns]) -> Iterator[str]:
    found: dict[str, dict[str, dict[str, None]]] = {}
    for source in sources:
        for run in source.runs:
            for key, value in conditions(run).items():
                found.setdefault(key, {}).setdefault(value, {})[source.name] = None
    for key, values in sorted(found.items()):
        if len(values) > 1:
            rows_with = {value: list(names) for value, names in values.items()}
            yield f"costs under different conditions: {key} {_in_words(rows_with)}"


def _retried(sources: Sequence[RowRuns]) -> Iterator[str]:
    runs_with: dict[int, list[str]] = {}
    for source in sources:
        for run in source.runs:
            if run.retried:
                where = f"{source.name} on {run.spec.task} seed {run.spec.seed}"
                runs_with.setdefault(run.retried.micro_batch_size, []).append(where)
    for size, runs in sorted(runs_with.items()):
        yield (
            f"{', '.join(runs)}: out of memory at first, then run in micro-batches of {size}: the "
            "same examples per step, but other times and memory peaks"
        )


def _remarks(sources: Sequence[RowRuns]) -> Iterator[str]:
    """Yield the remarks of methods on their deployed models, each with its rows."""
    rows_with: dict[str, list[str]] = {}
    for source in sources:
        for remark in dict.fromkeys(remark for run in source.runs for remark in run.notes):
            rows_with.setdefault(remark, []).append(source.name)
    for remark, names in rows_with.items():
        yield f"{', '.join(names)}: {remark}"


def _unmeasured(sources: Sequence[RowRuns]) -> Iterator[str]:
    rows_with: dict[tuple[str, str], list[str]] = {}
    for source in sources:
        for run in source.runs:
            for part, reason in _gaps(run):
                names = rows_with.setdefault((part, reason), [])
                names += [] if source.name in names else [source.name]
    for (part, reason), names in sorted(rows_with.items()):
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


def _differences(terms: dict[str, RunTerms]) -> Iterator[str]:
    for key, values in differences(terms).items():
        yield f"{key} {_in_words(values)}"


def _in_words(values: dict[str, list[str]]) -> str:
    parts = (f"{value} for {', '.join(names)}" for value, names in sorted(values.items()))
    return f"is {'; '.join(parts)}"


def statistics_notes(
    rows: Sequence[Row], *, columns: Sequence[Column], seeds: Sequence[int]
) -> Iterator[str]:
    """Yield the notes on tuning and significance, and on what the intervals leave out."""
    counts = group_by(rows, lambda row: str(row.search_trials or "unknown"))
    if len(counts) > 1:
        rows_with = {trials: [row.name for row in alike] for trials, alike in counts.items()}
        yield f"not tuned equally: the number of search trials {_in_words(rows_with)}"
    yield from _significant_differences(rows)
    if len(seeds) == 1 and sum(row.average is not None for row in rows) > 1:
        yield (
            "one seed: intervals cover the choice of examples only, and methods have no ranks; "
            "a run with another seed may score differently"
        )
    unknown = list(_without_sampling_error(rows, columns))
    if unknown and len(seeds) > 1:
        yield (
            f"{', '.join(unknown)}: intervals cover the seeds only, as does this part of the "
            "average's interval: predictions or an influence function of the metric are missing"
        )


def _significant_differences(rows: Sequence[Row]) -> Iterator[str]:
    """Yield which rows are significantly better than which, if there are few enough to list."""
    betters_of: dict[tuple[str, ...], list[str]] = {}
    for row in rows if len(rows) <= NAMED else ():
        beaten = tuple(other.name for other in rows if row.name in other.worse_than)
        if beaten:
            betters_of.setdefault(beaten, []).append(row.name)
    if betters_of:
        pairs = (
            f"{', '.join(names)} better than {', '.join(beaten)}"
            for beaten, names in betters_of.items()
        )
        yield f"significant differences: {'; '.join(pairs)}"


def _without_sampling_error(rows: Sequence[Row], columns: Sequence[Column]) -> Iterator[str]:
    """Yield the tasks on which the interval of a mean has no part from the examples."""
    for place, column in enumerate(columns):
        cells = [row.cells[place] for row in rows]
        known = [cell.confidence_interval for cell in cells if cell.mean is not None]
        if any(interval is None or interval.sampling_error is None for interval in known):
            yield column.name
