"""Build a leaderboard from results: groups are never mixed, and a missing number stays missing."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sparsebench.leaderboard.board import (
    DENSE,
    ConfidenceInterval,
    Difference,
    Group,
    Leaderboard,
    Row,
)
from sparsebench.leaderboard.build.baselines import with_baselines
from sparsebench.leaderboard.build.cost_summary import summarize_costs
from sparsebench.leaderboard.build.details import details_of
from sparsebench.leaderboard.build.notes import notes_of, statistics_notes
from sparsebench.leaderboard.build.rows import (
    average_of,
    belongs,
    cell_of,
    chosen_runs,
    columns_of,
    rows_of,
    status_of,
)
from sparsebench.leaderboard.build.scores import (
    PairableScores,
    difference_of,
    overall,
    pairable_scores,
    standings_of,
)
from sparsebench.results.verified import Verified, least_verified
from sparsebench.statistics import estimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sparsebench.leaderboard.board import Column
    from sparsebench.leaderboard.build.rows import RowRuns
    from sparsebench.leaderboard.build.scores import ReadPredictions
    from sparsebench.results.records import RunResult
    from sparsebench.statistics import Estimate


@dataclass(frozen=True)
class _Known:
    """The data beside the results.

    Attributes:
        read: Reads the predictions of a run.
        verified: Key of a run -> how far its score is verified.
    """

    read: ReadPredictions
    verified: Mapping[str, Verified]


@dataclass(frozen=True)
class _Draft:
    """A row without its rank."""

    source: RowRuns
    row: Row
    scores: tuple[PairableScores, ...]


def build(
    results: Iterable[RunResult],
    *,
    read: ReadPredictions | None = None,
    verified: Mapping[str, Verified] | None = None,
    unreadable: Iterable[str] = (),
) -> Leaderboard:
    """Build the leaderboard of any results; their order does not matter.

    Results are compared only within a group: of one backbone, under one protocol. In a group every
    method is expected to have every task and every seed that any method has.

    Args:
        results: The results.
        read: Reads the predictions of a run; without it, intervals cover the seeds only.
        verified: Key of a run -> how far its score is verified; ``reported`` for others.
        unreadable: Results that could not be read, each with its reason, for a warning.
    """
    known = _Known(read or (lambda _: None), verified or {})
    groups = [_group(members, name=name, known=known) for name, members in grouped(results)]
    return Leaderboard(tuple(groups), tuple(sorted(unreadable)))


def grouped(results: Iterable[RunResult]) -> Iterator[tuple[str, list[RunResult]]]:
    """Yield the groups of results that can be compared: the name of the backbone, and the results.

    Groups of one backbone under two protocols share a name.
    """
    by_group: dict[tuple[str, str, str], list[RunResult]] = {}
    for result in results:
        spec = result.spec
        key = (spec.model, spec.model_fingerprint, spec.protocol.value)
        by_group.setdefault(key, []).append(result)
    twins = Counter(model for model, _ in {key[:2] for key in by_group})
    for (model, fingerprint, _), members in sorted(by_group.items()):
        yield (f"{model} ({fingerprint[:8]})" if twins[model] > 1 else model), members


def _group(results: list[RunResult], *, name: str, known: _Known) -> Group:
    first = results[0]
    columns = with_baselines(columns_of(results), results, known.read)
    sources = rows_of(results)
    seeds = sorted({result.spec.seed for result in results})
    drafts = [_draft(source, columns=columns, seeds=seeds, known=known) for source in sources]
    dense = _dense(drafts)
    rows = _compared(_ranked(drafts, seeds=len(seeds)), drafts, dense)
    rows.sort(key=lambda row: (row.average is None, row.average and -row.average.value, row.name))
    notes = notes_of(rows, sources=sources, columns=columns)
    return Group(
        name=name,
        model=first.spec.model,
        model_fingerprint=first.spec.model_fingerprint,
        protocol=first.spec.protocol,
        flagged=first.flagged,
        columns=tuple(columns),
        seeds=tuple(seeds),
        rows=tuple(rows),
        unequal_budgets=any(len(_steps(results, column)) > 1 for column in columns),
        notes=(*notes, *statistics_notes(rows, columns=columns, seeds=seeds)),
        dense=dense.row.name if dense else None,
    )


def _dense(drafts: Sequence[_Draft]) -> _Draft | None:
    """Return the row of full fine-tuning, the best of several; None without one."""
    found = [
        (each.row.average.value, -at, each)
        for at, each in enumerate(drafts)
        if each.row.average and each.row.method.name == DENSE
    ]
    return max(found)[2] if found else None


def _compared(rows: Sequence[Row], drafts: Sequence[_Draft], dense: _Draft | None) -> list[Row]:
    """Return the rows with their difference to the dense one."""
    compared = []
    for row, draft in zip(rows, drafts, strict=True):
        found = None
        if dense and draft is not dense and row.average:
            estimated = difference_of(draft.scores, dense.scores)
            half = estimated.half_width
            if half is not None and math.isfinite(half):
                found = Difference(estimated.value, half)
        compared.append(replace(row, to_dense=found))
    return compared


def _steps(results: Iterable[RunResult], column: Column) -> set[int]:
    """Return the numbers of steps that runs on a task were trained for."""
    return {run.training.steps for run in results if run.training and belongs(run, column)}


def _draft(
    source: RowRuns, *, columns: Sequence[Column], seeds: Sequence[int], known: _Known
) -> _Draft:
    scores, cells = [], []
    for column in columns:
        chosen = chosen_runs(source.runs, column=column, seeds=seeds)
        cell = cell_of(chosen)
        if not cell.failures:
            scores.append(pairable_scores(chosen, cell, known.read))
            interval = _interval(estimate([scores[-1].scores]))
            cell = replace(cell, confidence_interval=interval, constant=scores[-1].constant)
        cells.append(cell)
    average = average_of(cells, seeds=seeds)
    if average:
        average = replace(average, confidence_interval=_interval(overall(scores)))
    scored = [run for run in source.runs if run.score is not None]
    row = Row(
        name=source.name,
        method=source.runs[0].spec.method,
        cells=tuple(cells),
        average=average,
        costs=summarize_costs(source.runs),
        status=status_of(cells),
        search_trials=_search_trials(scored),
        verified=least_verified(known.verified.get(run.key, Verified.REPORTED) for run in scored),
        details=details_of(source),
    )
    return _Draft(source, row, tuple(scores))


def _interval(found: Estimate) -> ConfidenceInterval | None:
    half = found.half_width
    if half is None or not math.isfinite(half):
        return None
    return ConfidenceInterval(found.seed_error, found.sampling_error, half)


def _search_trials(runs: Sequence[RunResult]) -> int | None:
    """Return the number of search trials of a row; None if its runs disagree or record none."""
    counts = {len(run.tuned.trials) if run.tuned else None for run in runs}
    return counts.pop() if len(counts) == 1 else None


def _ranked(drafts: Sequence[_Draft], *, seeds: int) -> list[Row]:
    """Return the rows, those that have an average with their rank."""
    whole = [draft for draft in drafts if draft.row.average]
    found = standings_of([draft.scores for draft in whole], seeds=seeds)
    names = [draft.row.name for draft in whole]
    standing = dict(zip(names, found or (), strict=False))
    rows = []
    for draft in drafts:
        own = standing.get(draft.row.name)
        worse_than = tuple(names[at] for at in own.better) if own else ()
        rows.append(replace(draft.row, standing=own, worse_than=worse_than))
    return rows
