"""The table as comma-separated values: one line a row, raw numbers, for other programs."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparsebench.leaderboard.table import Figures, Group, Row, Table

Value = str | int | float | bool | None


def render(table: Table) -> str:
    """Returns CSV; a number that is missing is an empty field, and ``failures`` says why."""
    lines = [_line(group, row) for group in table.groups for row in group.rows]
    tasks = sorted({column.name for group in table.groups for column in group.columns})
    scores = [_scores(group, row) for group in table.groups for row in group.rows]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    if lines:
        writer.writerow([*lines[0], *(f"score:{task}" for task in tasks)])
    for line, by_task in zip(lines, scores, strict=True):
        writer.writerow([*map(inert, line.values()), *(by_task.get(task) for task in tasks)])
    return stream.getvalue()


def _line(group: Group, row: Row) -> dict[str, Value]:
    failures = (
        f"{column.name} seed {failure.seed}: {failure.kind}: {failure.reason}"
        for column, cell in zip(group.columns, row.cells, strict=True)
        for failure in cell.failures
    )
    average, standing = row.average, row.standing
    sureness = average.sureness if average else None
    return {
        "model": group.name,
        "protocol": group.protocol.value,
        "selected_on_reported_split": group.flagged,
        "method": row.name,
        "average": average.value if average else None,
        "half_width": sureness.half_width if sureness else None,
        "spread": average.spread if average else None,
        "rank": standing.rank if standing else None,
        "seeds": len(group.seeds),
        "evidence": row.evidence.value,
        "trials": row.trials,
        "status": row.status,
        "failures": "; ".join(failures),
        **flat(row.figures),
    }


def flat(figures: Figures) -> dict[str, Value]:
    """Returns the costs of a row, those that are lists as texts."""
    layers = (f"{layer} {value}" for layer, value in figures.layer_densities.items())
    return {
        **asdict(figures),
        "unverified": "; ".join(figures.unverified),
        "layer_densities": "; ".join(layers),
    }


def _scores(group: Group, row: Row) -> dict[str, float | None]:
    pairs = zip(group.columns, row.cells, strict=True)
    return {column.name: cell.mean for column, cell in pairs}


def inert(value: Value) -> Value:
    """Returns a text that no spreadsheet takes for a formula; numbers stay what they are."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value
