"""The costs of a row: medians over its runs, and the conditions they were measured under."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from sparsebench.leaderboard.board import CostSummary
from sparsebench.results.costs import THRESHOLD, FlopStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sparsebench.results.costs import Activations, Costs, Flops, Latency, Memory, Parameters
    from sparsebench.results.records import RunResult


def summarize_costs(runs: Iterable[RunResult]) -> CostSummary:
    """Return the medians of the costs of the runs of one row.

    Counts are lower medians, so that the number shown is one that was counted.
    """
    runs = list(runs)
    costs = [run.costs for run in runs if run.costs]
    parameters = [cost.parameters for cost in costs if cost.parameters]
    flops = [cost.flops for cost in costs if cost.flops]
    latencies = [cost.latency for cost in costs if cost.latency]
    memories = [cost.memory for cost in costs if cost.memory]
    densities = [cost.density for cost in costs if cost.density]
    return CostSummary(
        trainable=_count(part.trainable for part in parameters),
        trainable_share=_ratio(_trainable_share(part) for part in parameters),
        macs=_count(part.matrix for part in flops),
        unverified=_unverified(flops),
        latency_ratio=_ratio(part.ratio for part in latencies),
        noisy=_noisy(latencies),
        efficiency=_ratio(_efficiency(cost) for cost in costs),
        activation_density=_ratio(part.density for part in densities),
        layer_activation_densities=_layer_densities(densities),
        training_bytes=_count(part.training.bytes for part in memories if part.training),
        inference_bytes=_count(part.inference for part in memories),
        encoder_sparsity=_ratio(part.encoder_sparsity for part in parameters),
        sparsity=_ratio(part.sparsity for part in parameters),
        macs_nonzero=_count(part.matrix_nonzero for part in flops),
        steps=_count(run.training.steps for run in runs if run.training),
    )


def conditions(run: RunResult) -> dict[str, str]:
    """Return the conditions that two runs must share for their costs to be compared."""
    if (costs := run.costs) is None:
        return {}
    known = {"device": costs.device.name, "dtype": costs.dtype}
    if run.training:
        known["training devices per run"] = str(run.training.devices)
    if costs.flops:
        known["FLOPs of"] = _shapes(costs.flops)
    if costs.latency:
        known["latency of"] = _shapes(costs.latency)
        known["threads"] = str(costs.latency.threads)
    if costs.memory:
        known["memory of"] = _shapes(costs.memory)
        kinds = {part.kind for part in (costs.memory.training, costs.memory.fresh) if part}
        known["memory read from"] = " and ".join(sorted(kinds))
    return known


def _shapes(part: Flops | Latency | Memory) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in sorted(part.shapes.items()))


def _trainable_share(parameters: Parameters) -> float | None:
    backbone = (parameters.reference_total or parameters.total) - parameters.head
    if parameters.trainable is None or backbone <= 0:
        return None
    return parameters.trainable / backbone


def _unverified(flops: Sequence[Flops]) -> tuple[str, ...]:
    doubtful = [part for part in flops if part.status is FlopStatus.UNVERIFIED]
    operators = {name for part in doubtful for name in part.uncounted}
    reasons = {part.reason for part in doubtful if part.reason}
    return tuple(sorted(operators or reasons))


def _layer_densities(densities: Sequence[Activations]) -> dict[str, float]:
    found: dict[tuple[str, int, str], list[float]] = {}
    for density in densities:
        for path, layer in density.layers.items():
            number = path.rpartition(".")[2]
            place = layer.stack, len(number), number  # 2 before 10
            found.setdefault(place, []).append(layer.above[THRESHOLD])
    return {
        f"{stack} {number}": statistics.median(found[stack, digits, number])
        for stack, digits, number in sorted(found)
    }


def _efficiency(costs: Costs) -> float | None:
    """Return the efficiency of the deployed model as it is, the first of its runtimes."""
    return costs.runtimes[0].efficiency if costs.runtimes else None


def _noisy(latencies: Sequence[Latency]) -> bool:
    return bool(latencies) and 2 * sum(part.noisy for part in latencies) >= len(latencies)


def _count(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return statistics.median_low(known) if known else None


def _ratio(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
