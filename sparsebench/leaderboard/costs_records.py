"""The raw numbers of cost tables: one record per row and runtime for CSV, every sample for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sparsebench.leaderboard.render.document import FlatRecord, Value
    from sparsebench.results.costs import RuntimeCost
    from sparsebench.results.profiles import BreakEvens, ProfileResult

FIELDS: dict[str, tuple[str, ...]] = {
    "parameters": (
        "trainable",
        "head",
        "total",
        "nonzero",
        "encoder_sparsity",
        "sparsity",
        "bytes_on_disk",
    ),
    "flops": (
        "matrix",
        "matrix_nonzero",
        "matrix_effective",
        "elementwise",
        "closed_form",
        "deviation",
        "status",
        "reason",
    ),
    "storage": ("dense", "sparse", "per_task", "per_task_as"),
    "density": ("density", "density_exact_padded"),
    "generation": ("prompt", "tokens", "prefill", "decode"),
    "memory": ("weights", "inference"),
    "energy": ("joules",),
}
"""Part of the costs -> its fields that have a column."""

NAMES = {
    "density_density": "activation_density",
    "density_density_exact_padded": "activation_density_exact_padded",
}
"""The columns that are not called ``<part>_<field>``."""


def records(results: Sequence[ProfileResult]) -> Iterator[FlatRecord]:
    """Yield one record per row and runtime."""
    for result in results:
        runtimes = result.costs.runtimes if result.costs else ()
        for runtime in runtimes or (None,):
            yield {**_condition(result), **_runtime(runtime), **_costs(result)}


def content(
    results: Sequence[ProfileResult], break_evens: Sequence[BreakEvens]
) -> dict[str, list[dict[str, Any]]]:
    """Return every record in full, raw samples included."""
    return {
        "rows": [result.model_dump(mode="json") for result in results],
        "break_even": [found.model_dump(mode="json") for found in break_evens],
    }


def _condition(result: ProfileResult) -> dict[str, Value]:
    spec = result.spec
    return {
        "model": spec.model,
        "method": spec.method.label if spec.method else "deployed",
        "trained": spec.trained,
        "form": spec.form,
        "device": spec.device,
        "hardware": spec.hardware,
        "dtype": spec.dtype,
        "attention": spec.attention,
        "batch_size": spec.batch_size,
        "length": spec.length,
        "target_length": spec.target_length,
        "status": result.status.value,
        "reason": result.reason,
    }


def _runtime(runtime: RuntimeCost | None) -> dict[str, Value]:
    latency = runtime.latency if runtime else None
    low, high = (latency.interval if latency else None) or (None, None)
    return {
        "runtime": getattr(runtime, "name", None),
        "runtime_reason": getattr(runtime, "reason", None),
        "latency_ratio": getattr(latency, "ratio", None),
        "latency_ratio_low": low,
        "latency_ratio_high": high,
        "seconds_median": getattr(latency, "median", None),
        "seconds_p95": getattr(latency, "p95", None),
        "seconds_iqr": getattr(latency, "iqr", None),
        "noisy": getattr(latency, "noisy", None),
        "rounds": len(latency.samples) if latency else None,
        "theoretical_speedup": getattr(runtime, "theoretical", None),
        "measured_speedup": getattr(runtime, "speedup", None),
        "efficiency": getattr(runtime, "efficiency", None),
        "outputs_equal": getattr(runtime, "equal", None),
    }


def _costs(result: ProfileResult) -> dict[str, Value]:
    record: dict[str, Value] = {}
    for part, names in FIELDS.items():
        costs = getattr(result.costs, part, None)
        for name in names:
            column = f"{part}_{name}"
            record[NAMES.get(column, column)] = getattr(costs, name, None)
    missing = result.costs.missing if result.costs else {}
    record["missing"] = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
    return record
