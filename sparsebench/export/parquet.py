"""Results as one flat table: a row a run, a column a fact, for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sparsebench.results.schema import RunResult


def write_parquet(results: Iterable[RunResult], file: Path) -> None:
    """Writes results as a Parquet file, sorted by key; what a run has not is null.

    Raises:
        OSError: The file cannot be written.
    """
    import pyarrow as pa
    from pyarrow import parquet

    rows = [flat(result) for result in sorted(results, key=lambda result: result.key)]
    names = sorted({name for row in rows for name in row}, key=_order)
    columns = {name: [row.get(name) for row in rows] for name in names}
    parquet.write_table(pa.table(columns), file)


def flat(result: RunResult) -> dict[str, Any]:
    """Returns the facts of a run by dotted names: ``method.settings.r``, ``score``.

    Settings are texts, since one name may stand for values of several types.
    """
    spec, costs = result.spec, result.costs
    facts: dict[str, Any] = {
        "key": result.key,
        "suite": result.suite,
        "task": spec.task,
        "task_version": spec.task_version,
        "model": spec.model,
        "model_fingerprint": spec.model_fingerprint,
        "method": spec.method.name,
        "label": spec.method.label,
        "method_version": spec.method.version,
        "seed": spec.seed,
        "protocol": spec.protocol.value,
        "budget": str(spec.training.budget),
        "data_fingerprint": spec.data_fingerprint,
        "status": result.status.value,
        "reason": result.reason,
        "score": result.score,
        "headline_metric": result.headline_metric,
    }
    facts |= {f"settings.{name}": str(value) for name, value in spec.method.settings.items()}
    for split, scores in result.scores.items():
        facts |= {f"scores.{split}.{metric}": value for metric, value in scores.items()}
    if costs and costs.parameters:
        facts["costs.trainable"] = costs.parameters.trainable
        facts["costs.nonzero"] = costs.parameters.nonzero
        facts["costs.encoder_sparsity"] = costs.parameters.encoder_sparsity
    if costs and costs.flops:
        facts["costs.macs"] = costs.flops.matrix
        facts["costs.macs_status"] = costs.flops.status.value
    if costs and costs.latency:
        facts["costs.latency_ratio"] = costs.latency.ratio
    if costs and costs.memory:
        facts["costs.inference_bytes"] = costs.memory.inference
    if result.provenance:
        facts |= {"created": result.provenance.created, "device": result.provenance.device}
    return facts


def _order(name: str) -> tuple[bool, str]:
    return "." in name, name
