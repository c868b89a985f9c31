"""The raw numbers of a leaderboard: one record per row for CSV, nested for JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sparsebench.leaderboard.board import Cell, CostSummary, Group, Leaderboard, Row
    from sparsebench.leaderboard.render.document import FlatRecord, Value


def records(board: Leaderboard) -> Iterator[FlatRecord]:
    """Yield one record per row; where a number is missing, ``failures`` says why."""
    tasks = sorted({column.name for group in board.groups for column in group.columns})
    for group in board.groups:
        for row in group.rows:
            by_task = dict(zip([column.name for column in group.columns], row.cells, strict=True))
            means = {
                f"score:{task}": by_task[task].mean if task in by_task else None for task in tasks
            }
            yield {**_record(group, row), **means}


def _record(group: Group, row: Row) -> dict[str, Value]:
    failures = (
        f"{column.name} seed {failure.seed}: {failure.kind}: {failure.reason}"
        for column, cell in zip(group.columns, row.cells, strict=True)
        for failure in cell.failures
    )
    average, standing = row.average, row.standing
    interval = average.confidence_interval if average else None
    return {
        "model": group.name,
        "protocol": group.protocol.value,
        "selected_on_reported_split": group.flagged,
        "method": row.name,
        "average": average.value if average else None,
        "half_width": interval.half_width if interval else None,
        "spread": average.spread if average else None,
        "to_dense": row.to_dense.value if row.to_dense else None,
        "to_dense_half_width": row.to_dense.half_width if row.to_dense else None,
        "rank": standing.rank if standing else None,
        "seeds": len(group.seeds),
        "verified": row.verified_in_words,
        "search_trials": row.search_trials,
        "status": row.status,
        "failures": "; ".join(failures),
        **flat_costs(row.costs),
    }


def flat_costs(costs: CostSummary) -> dict[str, Value]:
    """Return the costs of a row; those that are lists as text."""
    layers = (f"{layer} {value}" for layer, value in costs.layer_activation_densities.items())
    return {
        **asdict(costs),
        "unverified": "; ".join(costs.unverified),
        "layer_activation_densities": "; ".join(layers),
    }


def content(board: Leaderboard) -> dict[str, Any]:
    """Return groups, rows, the score of each seed, and every setting."""
    return {"groups": [_group(group) for group in board.groups], "unreadable": board.unreadable}


def _group(group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        "model": group.model,
        "model_fingerprint": group.model_fingerprint,
        "protocol": group.protocol.value,
        "selected_on_reported_split": group.flagged,
        "tasks": [asdict(column) for column in group.columns],
        "majority_class": group.baseline,
        "dense": group.dense,
        "seeds": group.seeds,
        "rows": [_row(group, row) for row in group.rows],
        "notes": group.notes,
    }


def _row(group: Group, row: Row) -> dict[str, Any]:
    pairs = zip(group.columns, row.cells, strict=True)
    return {
        "name": row.name,
        "method": row.method.model_dump(mode="json"),
        "average": row.average and asdict(row.average),
        "to_dense": row.to_dense and asdict(row.to_dense),
        "scores": {column.name: _cell(cell) for column, cell in pairs},
        "standing": row.standing
        and {"rank": row.standing.rank, "alone": row.standing.alone, "worse_than": row.worse_than},
        "verified": row.verified_in_words,
        "search_trials": row.search_trials,
        "costs": asdict(row.costs),
        "status": row.status,
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "mean": cell.mean,
        "spread": cell.spread,
        "confidence_interval": cell.confidence_interval and asdict(cell.confidence_interval),
        "seeds": cell.scores,
        "constant": cell.constant,
        "failures": [asdict(failure) for failure in cell.failures],
    }
