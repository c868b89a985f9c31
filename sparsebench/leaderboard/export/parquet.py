"""Results as one flat table: a row a run, a column a fact, for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparsebench.leaderboard.delimited import flat
from sparsebench.leaderboard.figures import figures_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sparsebench.results.records import RunResult


def write_parquet(results: Iterable[RunResult], file: Path) -> None:
    """Writes results as a Parquet file, sorted by key; what a run has not is null.

    Raises:
        OSError: The file cannot be written.
    """
    import pyarrow as pa
    from pyarrow import parquet

    rows = [_facts(result) for result in sorted(results, key=lambda result: result.key)]
    names = sorted({name for row in rows for name in row}, key=_order)
    columns = {name: [row.get(name) for row in rows] for name in names}
    parquet.write_table(pa.table(columns), file)


def _facts(result: RunResult) -> dict[str, Any]:
    """Returns the facts of a run by dotted names: ``settings.r``, ``costs.macs``, ``score``.

    Settings are texts, since one name may stand for values of several types. Costs are named as in
    the leaderboard's CSV.
    """
    spec = result.spec
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
    facts |= {f"costs.{name}": value for name, value in flat(figures_of([result])).items()}
    if result.provenance:
        facts |= {"created": result.provenance.created, "device": result.provenance.device}
    return facts


def _order(name: str) -> tuple[bool, str]:
    return "." in name, name
