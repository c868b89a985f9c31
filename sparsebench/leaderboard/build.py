"""From results to the table: groups that are never mixed, and a missing number stays missing."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sparsebench.leaderboard.cells import average_of, cell_of, chosen_runs, status_of
from sparsebench.leaderboard.figures import figures_of
from sparsebench.leaderboard.notes import notes_of, sureness_notes
from sparsebench.leaderboard.rows import belongs, columns_of, rows_of
from sparsebench.leaderboard.scores import Measured, measured, overall, standings_of
from sparsebench.leaderboard.table import ConfidenceInterval, Group, Row, Table
from sparsebench.results.verified import Verified, least_verified
from sparsebench.statistics import estimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sparsebench.leaderboard.rows import RowRuns
    from sparsebench.leaderboard.sampling import ReadPredictions
    from sparsebench.leaderboard.table import Column
    from sparsebench.results.records import RunResult
    from sparsebench.statistics import Estimate


@dataclass(frozen=True)
class _Known:
    """What stands beside the results.

    Attributes:
        read: Reads the predictions of a run.
        evidence: Key of a run -> what its score rests on.
    """

    read: ReadPredictions
    evidence: Mapping[str, Verified]


@dataclass(frozen=True)
class _Draft:
    """A row that does not know its standing yet."""

    source: RowRuns
    row: Row
    measured: tuple[Measured, ...]


def build(
    results: Iterable[RunResult],
    *,
    read: ReadPredictions | None = None,
    evidence: Mapping[str, Verified] | None = None,
    unreadable: Iterable[str] = (),
) -> Table:
    """Makes the leaderboard of any results; their order does not matter.

    Results are compared only within a group: of one backbone, under one protocol. In a group every
    method is expected to have every task and every seed that any method has.

    Args:
        results: The results.
        read: Reads the predictions of a run; without them, intervals know the seeds alone.
        evidence: Key of a run -> what its score rests on; ``reported`` for others.
        unreadable: Results that could not be read, each with its reason, for a warning.
    """
    known = _Known(read or (lambda _: None), evidence or {})
    groups = [_group(members, name=name, known=known) for name, members in grouped(results)]
    return Table(tuple(groups), tuple(sorted(unreadable)))


def grouped(results: Iterable[RunResult]) -> Iterator[tuple[str, list[RunResult]]]:
    """Yields the groups of results that may be compared: the name of the backbone, and the results.

    Two groups share a name where they are of one backbone under two protocols.
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
    columns, sources = columns_of(results), rows_of(results)
    seeds = sorted({result.spec.seed for result in results})
    drafts = [_draft(source, columns=columns, seeds=seeds, known=known) for source in sources]
    rows = _ranked(drafts, seeds=len(seeds))
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
        notes=(*notes, *sureness_notes(rows, columns=columns, seeds=seeds)),
    )


def _steps(results: Iterable[RunResult], column: Column) -> set[int]:
    """Returns the numbers of steps that runs on a task have trained for."""
    return {run.training.steps for run in results if run.training and belongs(run, column)}


def _draft(
    source: RowRuns, *, columns: Sequence[Column], seeds: Sequence[int], known: _Known
) -> _Draft:
    found, cells = [], []
    for column in columns:
        chosen = chosen_runs(source.runs, column=column, seeds=seeds)
        cell = cell_of(chosen)
        if not cell.failures:
            found.append(measured(chosen, cell, known.read))
            cell = replace(cell, sureness=_sureness(estimate([found[-1].panel])))
        cells.append(cell)
    average = average_of(cells, seeds=seeds)
    if average:
        average = replace(average, sureness=_sureness(overall(found)))
    scored = [run for run in source.runs if run.score is not None]
    row = Row(
        name=source.name,
        method=source.runs[0].spec.method,
        cells=tuple(cells),
        average=average,
        figures=figures_of(source.runs),
        status=status_of(cells),
        trials=_trials(scored),
        evidence=least_verified(known.evidence.get(run.key, Verified.REPORTED) for run in scored),
    )
    return _Draft(source, row, tuple(found))


def _trials(runs: Sequence[RunResult]) -> int | None:
    """Returns how many trials the settings of a row were chosen from, if its runs agree on it."""
    counts = {len(run.tuned.trials) if run.tuned else None for run in runs}
    return counts.pop() if len(counts) == 1 else None


def _ranked(drafts: Sequence[_Draft], *, seeds: int) -> list[Row]:
    """Returns the rows, those that have an average with their standing."""
    whole = [draft for draft in drafts if draft.row.average]
    found = standings_of([draft.measured for draft in whole], seeds=seeds)
    names = [draft.row.name for draft in whole]
    standing = dict(zip(names, found or (), strict=False))
    rows = []
    for draft in drafts:
        own = standing.get(draft.row.name)
        worse_than = tuple(names[at] for at in own.better) if own else ()
        rows.append(replace(draft.row, standing=own, worse_than=worse_than))
    return rows


def _sureness(found: Estimate) -> ConfidenceInterval | None:
    half = found.half_width
    if half is None or not math.isfinite(half):
        return None
    return ConfidenceInterval(found.seed_error, found.sampling_error, half)
