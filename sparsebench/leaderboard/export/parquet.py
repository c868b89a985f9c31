"""Results as one flat Parquet table: one row per run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparsebench.leaderboard.build.cost_summary import summarize_costs
from sparsebench.leaderboard.scores_records import flat_costs

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sparsebench.results.records import RunResult


def write_parquet(results: Iterable[RunResult], file: Path) -> None:
    """Write results as a Parquet file, sorted by key; a missing value is null.

    Raises:
        OSError: The file cannot be written.
    """
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table(flat_table(sorted(results, key=lambda r: r.key))), file)


def flat_table(results: Iterable[RunResult]) -> dict[str, list[Any]]:
    """Return results as columns by name, one value per run; a missing value is None."""
    rows = [_flat(result) for result in results]
    names = sorted({name for row in rows for name in row}, key=_order)
    return {name: [row.get(name) for row in rows] for name in names}


def _flat(result: RunResult) -> dict[str, Any]:
    """Return the fields of a run by dotted names: ``settings.r``, ``costs.macs``, ``score``.

    Settings are text, since one name may have values of several types. Costs are named as in the
    leaderboard's CSV.
    """
    spec = result.spec
    fields: dict[str, Any] = {
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
    fields |= {f"settings.{name}": str(value) for name, value in spec.method.settings.items()}
    for split, scores in result.scores.items():
        fields |= {f"scores.{split}.{metric}": value for metric, value in scores.items()}
    fields |= {
        f"costs.{name}": value for name, value in flat_costs(summarize_costs([result])).items()
    }
    if result.teacher:
        fields |= {f"teacher.{name}": value for name, value in result.teacher.model_dump().items()}
    if result.provenance:
        fields |= {"created": result.provenance.created, "device": result.provenance.device}
    return fields


def _order(name: str) -> tuple[bool, str]:
    return "." in name, name
