"""From results to the table: groups that are never mixed, and a missing number stays missing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sparsebench.leaderboard.cells import average_of, cell_of, status_of
from sparsebench.leaderboard.figures import figures_of
from sparsebench.leaderboard.notes import notes_of
from sparsebench.leaderboard.rows import RowRuns, columns_of, rows_of
from sparsebench.leaderboard.table import Column, Group, Row, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sparsebench.results.schema import RunResult


def build(results: Iterable[RunResult], *, unreadable: Iterable[str] = ()) -> Table:
    """Makes the leaderboard of any results; their order does not matter.

    Results are compared only within a group: of one backbone, under one protocol. In a group every
    method is expected to have every task and every seed that any method has.

    Args:
        results: The results.
        unreadable: Results that could not be read, each with its reason, for a warning.
    """
    by_group: dict[tuple[str, str, str], list[RunResult]] = {}
    for result in results:
        spec = result.spec
        key = (spec.model, spec.model_fingerprint, spec.protocol.value)
        by_group.setdefault(key, []).append(result)
    twins = Counter(model for model, _ in {key[:2] for key in by_group})
    groups = []
    for (model, fingerprint, _), members in sorted(by_group.items()):
        name = f"{model} ({fingerprint[:8]})" if twins[model] > 1 else model
        groups.append(_group(members, name=name))
    return Table(tuple(groups), tuple(sorted(unreadable)))


def _group(results: list[RunResult], *, name: str) -> Group:
    first = results[0]
    columns, sources = columns_of(results), rows_of(results)
    seeds = sorted({result.spec.seed for result in results})
    rows = [_row(source, columns=columns, seeds=seeds) for source in sources]
    rows.sort(key=lambda row: (row.average is None, row.average and -row.average.value, row.name))
    return Group(
        name=name,
        model=first.spec.model,
        model_fingerprint=first.spec.model_fingerprint,
        protocol=first.spec.protocol,
        flagged=first.flagged,
        columns=tuple(columns),
        seeds=tuple(seeds),
        rows=tuple(rows),
        notes=tuple(notes_of(rows, sources=sources, columns=columns)),
    )


def _row(source: RowRuns, *, columns: Sequence[Column], seeds: Sequence[int]) -> Row:
    cells = tuple(cell_of(source.runs, column=column, seeds=seeds) for column in columns)
    return Row(
        name=source.name,
        method=source.runs[0].spec.method,
        cells=cells,
        average=average_of(cells, seeds=seeds),
        figures=figures_of(source.runs),
        status=status_of(cells),
    )
