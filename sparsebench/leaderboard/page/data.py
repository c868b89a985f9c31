"""The numbers of a group that the script of the page reads: values, intervals, details."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from sparsebench.leaderboard.board import DENSE
from sparsebench.leaderboard.papers import paper_of
from sparsebench.leaderboard.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sparsebench.leaderboard.board import Average, Cell, CostSummary, Group, Row
    from sparsebench.leaderboard.details import LossCurve, RowDetails

    Value = tuple[float, float, float] | tuple[float]

MOST_RUNS = 1500
"""The most runs of a group whose loss curves are on the page, so that it stays small."""

POINTS = 40
"""The most points of a loss curve."""


@dataclass(frozen=True)
class CostAxis:
    """A cost as an axis of the plot and as a field of the budget.

    Attributes:
        name: Its name in the address of the page.
        title: The title of the axis.
        field: The label of the budget's field; empty for none.
        kind: The format of its numbers: ``count``, ``share``, ``bytes``, ``ratio`` or ``plain``.
        key: Its value; None where not measured.
        more: Whether more is better.
    """

    name: str
    title: str
    field: str
    kind: str
    key: Callable[[CostSummary], float | None]
    more: bool = False


AXES = (
    CostAxis(
        name="trainable",
        title="trainable parameters",
        field="Trainable parameters",
        kind="count",
        key=lambda costs: costs.trainable,
    ),
    CostAxis(
        name="sparsity",
        title="sparsity of the blocks",
        field="Sparsity",
        kind="share",
        key=lambda costs: costs.encoder_sparsity,
        more=True,
    ),
    CostAxis(
        name="act-density",
        title="activation density",
        field="",
        kind="share",
        key=lambda costs: costs.activation_density,
    ),
    CostAxis(
        name="macs",
        title="multiply-adds per sequence",
        field="Multiply-adds",
        kind="count",
        key=lambda costs: costs.macs,
    ),
    CostAxis(
        name="latency",
        title="latency, relative to the backbone",
        field="Latency",
        kind="ratio",
        key=lambda costs: costs.latency_ratio,
    ),
    CostAxis(
        name="efficiency",
        title="efficiency: measured over theoretical speed-up",
        field="",
        kind="plain",
        key=lambda costs: costs.efficiency,
        more=True,
    ),
    CostAxis(
        name="train-memory",
        title="peak memory of training",
        field="Training memory",
        kind="bytes",
        key=lambda costs: costs.training_bytes,
    ),
    CostAxis(
        name="infer-memory",
        title="peak memory of inference",
        field="Inference memory",
        kind="bytes",
        key=lambda costs: costs.inference_bytes,
    ),
    CostAxis(
        name="steps",
        title="optimizer steps of training",
        field="",
        kind="count",
        key=lambda costs: costs.steps,
    ),
)


def embedded(group: Group) -> Markup:
    """Return the data of a group as JSON that no text in it can end or turn into markup."""
    text = json.dumps(group_data(group), separators=(",", ":"), allow_nan=False)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)  # noqa: S704 - no character of markup is left


def group_data(group: Group) -> dict[str, Any]:
    """Return the axes of a group and, for each row in its order, values and details."""
    place = {row.name: at for at, row in enumerate(group.rows)}
    costs = [axis for axis in AXES if any(axis.key(row.costs) is not None for row in group.rows)]
    runs = sum(len(row.details.curves) for row in group.rows if row.details)
    return {
        "axes": [*_score_axes(group), *map(_cost_axis, costs)],
        "wholes": _wholes(group.rows),
        "ranked": any(row.standing for row in group.rows),
        "tasks": [clean(column.name) for column in group.columns],
        "rows": [
            {
                "name": clean(row.name),
                "values": {**_scores(row), **_costs(row, costs)},
                "worse": [place[name] for name in row.worse_than],
                "details": _details(group, row, curves=runs <= MOST_RUNS),
            }
            for row in group.rows
        ],
    }


def _score_axes(group: Group) -> list[dict[str, Any]]:
    names = {"average": "average score"}
    names |= {f"task-{at}": clean(column.name) for at, column in enumerate(group.columns)}
    baselines = [group.baseline, *(column.baseline for column in group.columns)]
    return [
        {
            "id": name,
            "title": title,
            "field": "",
            "kind": "score",
            "more": True,
            "baseline": None if baseline is None else round(100 * baseline, 4),
        }
        for (name, title), baseline in zip(names.items(), baselines, strict=True)
    ]


def _cost_axis(axis: CostAxis) -> dict[str, Any]:
    return {
        "id": axis.name,
        "title": axis.title,
        "field": axis.field,
        "kind": axis.kind,
        "more": axis.more,
    }


def _wholes(rows: Sequence[Row]) -> dict[str, float]:
    """Return the amounts that ``1 %`` and ``0.8x`` of a budget refer to, cost by cost.

    For trainable parameters it is the backbone; for the others the row of full fine-tuning, or the
    largest value where there is none.
    """
    wholes = {}
    for axis in AXES:
        values = [value for row in rows if (value := axis.key(row.costs)) is not None]
        full = [axis.key(row.costs) for row in rows if row.method.name == DENSE]
        known = [value for value in full if value is not None] or values
        if known and axis.kind in {"count", "bytes"}:
            wholes[axis.name] = max(known)
    for row in rows:
        if row.costs.trainable and row.costs.trainable_share:
            wholes["trainable"] = round(row.costs.trainable / row.costs.trainable_share)
    return wholes


def _scores(row: Row) -> dict[str, Value]:
    averages = {"average": _score(row.average, row.average.value if row.average else None)}
    cells = {f"task-{at}": _score(cell, cell.mean) for at, cell in enumerate(row.cells)}
    return {name: value for name, value in {**averages, **cells}.items() if value is not None}


def _score(source: Average | Cell | None, mean: float | None) -> Value | None:
    if source is None or mean is None:
        return None
    interval = source.confidence_interval
    value = round(100 * mean, 4)
    if interval is None:
        return (value,)
    half = 100 * interval.half_width
    return value, round(value - half, 4), round(value + half, 4)


def _costs(row: Row, axes: Sequence[CostAxis]) -> dict[str, Value]:
    known = row.details.uncertainties if row.details else {}
    values: dict[str, Value] = {}
    for axis in axes:
        value = axis.key(row.costs)
        if value is not None:
            below, above = known.get(axis.name, (0, 0))
            certain = below <= 0 and above <= 0
            values[axis.name] = (value,) if certain else (value, value - below, value + above)
    return values


def _details(group: Group, row: Row, *, curves: bool) -> dict[str, Any]:
    details = row.details
    return {
        "method": f"{clean(row.method.name)}, version {clean(row.method.version)}",
        "paper": paper_of(row.method),
        "scores": [
            {str(seed): round(100 * score, 4) for seed, score in cell.scores.items()}
            for cell in row.cells
        ],
        "failures": [
            clean(f"{column.name}, seed {failure.seed}: {failure.kind}: {failure.reason}")
            for column, cell in zip(group.columns, row.cells, strict=True)
            for failure in cell.failures
        ],
        "densities": {
            clean(layer): value for layer, value in row.costs.layer_activation_densities.items()
        },
        **(_terms(details) if details else {}),
        "curves": _curves(details.curves) if details and curves else {},
    }


def _terms(details: RowDetails) -> dict[str, Any]:
    settings: dict[str, str] = {}
    training: dict[str, str] = {}
    for key, value in details.terms.items():
        if value == "null" or key in {"method", "version", "training.budget", "training.report_to"}:
            continue
        part = training if key.startswith(("training.", "held_out.")) else settings
        part[clean(key.removeprefix("training."))] = clean(value)
    return {
        "settings": settings,
        "training": {**_budget(details.budgets), **training},
        "environment": _environment(details),
    }


def _budget(budgets: Mapping[str, str]) -> dict[str, str]:
    kinds = sorted(set(budgets.values()))
    if len(kinds) == 1:
        return {"budget": clean(kinds[0])}
    return {f"budget, {clean(task)}": clean(budget) for task, budget in budgets.items()}


def _environment(details: RowDetails) -> dict[str, str]:
    versions = (f"{name} {' or '.join(found)}" for name, found in details.versions.items())
    known = {
        "machine": "; ".join(details.machines),
        "system": "; ".join(details.platforms),
        "date": " to ".join(dict.fromkeys(details.dates)),
        "commit": ", ".join(details.commits),
        "versions": ", ".join(versions),
    }
    return {name: clean(text) for name, text in known.items() if text}


def _curves(curves: Sequence[LossCurve]) -> dict[str, dict[str, list[list[float]]]]:
    """Return the loss curves: task -> seed -> steps and losses, thinned out."""
    return {
        clean(task): {
            str(curve.seed): [[step, float(f"{loss:.4g}")] for step, loss in _thin(curve.points)]
            for curve in own
        }
        for task, own in groupby(curves, key=lambda curve: curve.task)
    }


def _thin(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return at most ``POINTS`` points: means of neighbours, at the step of the last of each."""
    size = -(-len(points) // POINTS)
    parts = [points[at : at + size] for at in range(0, len(points), size)]
    return [(part[-1][0], sum(loss for _, loss in part) / len(part)) for part in parts]
