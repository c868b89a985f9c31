"""The costs of a leaderboard: one column each, and one axis each of the plot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparsebench.errors import UnknownNameError
from sparsebench.leaderboard.text import MIB, NOTHING, count, share, significant

if TYPE_CHECKING:
    from collections.abc import Callable

    from sparsebench.leaderboard.board import Group, Row

NAMED = 2
"""Operators that are named in a cell; the rest are counted."""

FORMER_NAMES = {"density": "act-density", "realised": "efficiency"}
"""Names that ``--cost`` had before -> the names it has now."""


@dataclass(frozen=True)
class Cost:
    """One cost of a method; less is better.

    Attributes:
        name: Its name for ``--cost``.
        heading: The heading of its column.
        meaning: The column in a few words.
        axis: The axis of the plot in a few words.
        key: Its value; None where not measured.
        text: Its text in a cell.
        shown: The number in the cell, by which the column sorts, if it is not ``key``.
    """

    name: str
    heading: str
    meaning: str
    axis: str
    key: Callable[[Row], float | None]
    text: Callable[[Row], str]
    shown: Callable[[Row], float | None] | None = None


def cost_named(name: str) -> Cost:
    """Return a cost by its name, or by one that it had before.

    Raises:
        UnknownNameError: There is no such cost.
    """
    by_name = {cost.name: cost for cost in COSTS}
    wanted = FORMER_NAMES.get(name, name)
    if wanted not in by_name:
        raise UnknownNameError("cost", name, known=by_name, where="--cost")
    return by_name[wanted]


def costs_shown(group: Group) -> list[Cost]:
    """Return the costs that any row has; the budget only if it differs between rows."""
    known = [cost for cost in COSTS if any(cost.key(row) is not None for row in group.rows)]
    return [cost for cost in known if cost.name != "steps" or group.unequal_budgets]


def _trainable(row: Row) -> str:
    part, number = row.costs.trainable_share, row.costs.trainable
    if part is None or number is None:
        return count(number)
    return f"{significant(100 * part, digits=3)} % ({number:,})"


def _gmacs(row: Row) -> str:
    if row.costs.macs is None:
        return NOTHING
    amount = significant(row.costs.macs / 1e9, digits=4)
    first, more = row.costs.unverified[:NAMED], len(row.costs.unverified[NAMED:])
    why = ", ".join([*first, f"{more} more"] if more else first)
    return f"{amount} unverified: {why}" if why else amount


def _latency(row: Row) -> str:
    if row.costs.latency_ratio is None:
        return NOTHING
    return f"{row.costs.latency_ratio:.2f}×{' noisy' if row.costs.noisy else ''}"


def _mib(number: int | None) -> str:
    return NOTHING if number is None else significant(number / MIB, digits=3)


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


COSTS = (
    Cost(
        name="trainable",
        heading="trainable",
        meaning="trainable parameters without the head: share of the backbone, and number",
        axis="trainable parameters, without the head",
        key=lambda row: row.costs.trainable,
        text=_trainable,
    ),
    Cost(
        name="weights",
        heading="sparsity",
        meaning="share of zero or removed weights in the blocks",
        axis="share of the blocks' weights that are neither zero nor removed",
        key=lambda row: (
            None if row.costs.encoder_sparsity is None else 1 - row.costs.encoder_sparsity
        ),
        text=lambda row: share(row.costs.encoder_sparsity),
        shown=lambda row: row.costs.encoder_sparsity,
    ),
    Cost(
        name="act-density",
        heading="act. density",
        meaning="share of FFN activations above 0.001",
        axis="activation density: share of active FFN units",
        key=lambda row: row.costs.activation_density,
        text=lambda row: share(row.costs.activation_density),
    ),
    Cost(
        name="gmacs",
        heading="GMACs",
        meaning="1e9 multiply-adds in matrix products per sequence",
        axis="1e9 multiply-adds in matrix products per sequence",
        key=lambda row: _scaled(row.costs.macs, 1e9),
        text=_gmacs,
    ),
    Cost(
        name="latency",
        heading="latency",
        meaning="relative to the untouched backbone, below 1 is faster",
        axis="latency relative to the untouched backbone",
        key=lambda row: row.costs.latency_ratio,
        text=_latency,
    ),
    Cost(
        name="efficiency",
        heading="efficiency",
        meaning="measured over theoretical speed-up",
        axis="theoretical over measured speed-up, the inverse of the efficiency",
        key=lambda row: 1 / row.costs.efficiency if row.costs.efficiency else None,
        text=lambda row: NOTHING if row.costs.efficiency is None else f"{row.costs.efficiency:.2f}",
        shown=lambda row: row.costs.efficiency,
    ),
    Cost(
        name="train-memory",
        heading="train MiB",
        meaning="peak memory growth in training",
        axis="peak memory of training, in MiB",
        key=lambda row: _scaled(row.costs.training_bytes, MIB),
        text=lambda row: _mib(row.costs.training_bytes),
    ),
    Cost(
        name="infer-memory",
        heading="infer MiB",
        meaning="peak memory growth in inference",
        axis="peak memory of inference, in MiB",
        key=lambda row: _scaled(row.costs.inference_bytes, MIB),
        text=lambda row: _mib(row.costs.inference_bytes),
    ),
    Cost(
        name="steps",
        heading="steps",
        meaning="optimizer steps of training",
        axis="optimizer steps of training",
        key=lambda row: row.costs.steps,
        text=lambda row: count(row.costs.steps),
    ),
)
"""In the order of the columns."""
