"""The table as JSON: raw numbers, each seed by itself, and every setting."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparsebench.leaderboard.table import Cell, Group, Row, Table


def render(table: Table) -> str:
    """Returns one JSON object with ``groups``; a number that is missing is null."""
    groups = [_group(group) for group in table.groups]
    content = {"groups": groups, "unreadable": table.unreadable}
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _group(group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        "model": group.model,
        "model_fingerprint": group.model_fingerprint,
        "protocol": group.protocol.value,
        "selected_on_reported_split": group.flagged,
        "tasks": [asdict(column) for column in group.columns],
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
        "scores": {column.name: _cell(cell) for column, cell in pairs},
        "standing": row.standing
        and {"rank": row.standing.rank, "alone": row.standing.alone, "worse_than": row.worse_than},
        "evidence": row.evidence.value,
        "trials": row.trials,
        "costs": asdict(row.figures),
        "status": row.status,
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "mean": cell.mean,
        "spread": cell.spread,
        "sureness": cell.sureness and asdict(cell.sureness),
        "seeds": cell.scores,
        "failures": [asdict(failure) for failure in cell.failures],
    }
