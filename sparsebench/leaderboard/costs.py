"""The costs that a leaderboard shows: a column each, and an axis each of the plot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sparsebench.leaderboard.table import Group, Row

NOTHING = "—"
MIB = 2**20
NAMED = 2
"""Operators that are named in a cell; the rest are counted."""


@dataclass(frozen=True)
class Cost:
    """One figure of what a method costs; less is better.

    Attributes:
        name: What ``--cost`` calls it.
        heading: What stands above its column.
        note: What it is, as an axis of the plot says it.
        key: Its value; None where it was not measured.
        text: How a cell shows it.
        shown: What a cell shows, where that is not the cost itself; a column sorts by it.
    """

    name: str
    heading: str
    note: str
    key: Callable[[Row], float | None]
    text: Callable[[Row], str]
    shown: Callable[[Row], float | None] | None = None


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value + 0.0:.1f} %"


def _trainable(row: Row) -> str:
    share, count = row.figures.trainable_share, row.figures.trainable
    if share is None or count is None:
        return NOTHING if count is None else f"{count:,}"
    return f"{_significant(100 * share, digits=3)} % ({count:,})"


def _gmacs(row: Row) -> str:
    if row.figures.macs is None:
        return NOTHING
    amount = _significant(row.figures.macs / 1e9, digits=4)
    first, more = row.figures.unverified[:NAMED], len(row.figures.unverified[NAMED:])
    why = ", ".join([*first, f"{more} more"] if more else first)
    return f"{amount} unverified: {why}" if why else amount


def _latency(row: Row) -> str:
    if row.figures.latency_ratio is None:
        return NOTHING
    return f"{row.figures.latency_ratio:.2f}×{' noisy' if row.figures.noisy else ''}"


def _mebibytes(count: int | None) -> str:
    return NOTHING if count is None else f"{_significant(count / MIB, digits=3)}"


def _significant(value: float, *, digits: int) -> str:
    return (
        f"{value:,.0f}" if value == 0 or value >= 10**digits else f"{value:#.{digits}g}".rstrip(".")
    )


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


COSTS = (
    Cost(
        "trainable",
        "trainable",
        "parameters that train, the head apart",
        lambda row: row.figures.trainable,
        _trainable,
    ),
    Cost(
        "weights",
        "sparsity",
        "share of the blocks' weights that is stored and not zero",
        lambda row: (
            None if row.figures.encoder_sparsity is None else 1 - row.figures.encoder_sparsity
        ),
        lambda row: _share(row.figures.encoder_sparsity),
        shown=lambda row: row.figures.encoder_sparsity,
    ),
    Cost(
        "density",
        "density",
        "share of the feed-forward networks' activations that is not small",
        lambda row: row.figures.density,
        lambda row: _share(row.figures.density),
    ),
    Cost(
        "gmacs",
        "GMACs",
        "multiply-adds of all matrix products of one sequence, in 10⁹",
        lambda row: _scaled(row.figures.macs, 1e9),
        _gmacs,
    ),
    Cost(
        "latency",
        "latency",
        "latency over that of the untouched backbone",
        lambda row: row.figures.latency_ratio,
        _latency,
    ),
    Cost(
        "realised",
        "realised",
        "promised over measured speed-up, the inverse of what the table shows",
        lambda row: 1 / row.figures.realised if row.figures.realised else None,
        lambda row: NOTHING if row.figures.realised is None else f"{row.figures.realised:.2f}",
        shown=lambda row: row.figures.realised,
    ),
    Cost(
        "train-memory",
        "train MiB",
        "peak memory of training, in MiB",
        lambda row: _scaled(row.figures.training_bytes, MIB),
        lambda row: _mebibytes(row.figures.training_bytes),
    ),
    Cost(
        "infer-memory",
        "infer MiB",
        "peak memory of inference, in MiB",
        lambda row: _scaled(row.figures.inference_bytes, MIB),
        lambda row: _mebibytes(row.figures.inference_bytes),
    ),
    Cost(
        "steps",
        "steps",
        "optimizer steps of training: the budget",
        lambda row: row.figures.steps,
        lambda row: NOTHING if row.figures.steps is None else f"{row.figures.steps:,}",
    ),
)
"""In the order they are shown."""


def costs_shown(group: Group) -> list[Cost]:
    """Returns the costs that have a column: known of any row; the budget only if it differs."""
    known = [cost for cost in COSTS if any(cost.key(row) is not None for row in group.rows)]
    return [cost for cost in known if cost.name != "steps" or group.unequal_budgets]
