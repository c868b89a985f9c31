"""The metrics of the tasks: `evaluate.Metric` classes that live here; nothing is fetched.

An answer that is missing never helps: it counts as the answer that is furthest from the right
one. What that is, each metric says.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from sparsebench.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsebench.metrics.base import InMemoryMetric

METRICS = {
    "accuracy": "sparsebench.metrics.classification:Accuracy",
    "f1": "sparsebench.metrics.classification:F1",
    "matthews": "sparsebench.metrics.classification:Matthews",
    "pearson": "sparsebench.metrics.correlation:Pearson",
    "spearman": "sparsebench.metrics.correlation:Spearman",
}
"""Name -> where the metric's class is; it is imported when it is first computed."""


def compute(
    name: str, predictions: Sequence[float | None], references: Sequence[float]
) -> dict[str, float]:
    """Computes a metric.

    Args:
        name: One of ``METRICS``.
        predictions: The answers, one an example: class indices or numbers; None where missing.
        references: The correct answers, one an example.

    Returns:
        The metric's name -> its value.

    Raises:
        UnknownNameError: No such metric.
        ValueError: There is no example, or not one answer an example.
    """
    if name not in METRICS:
        raise UnknownNameError("metric", name, known=METRICS)
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions for {len(references)} references")
    if not len(references):
        raise ValueError(f"{name}: no example to score")
    module, _, attribute = METRICS[name].partition(":")
    metric: InMemoryMetric = getattr(import_module(module), attribute)()
    values = metric.compute(predictions=predictions, references=references)
    return {key: float(value) for key, value in values.items()}
