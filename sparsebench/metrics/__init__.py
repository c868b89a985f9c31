"""The metrics of the tasks, as `evaluate.Metric` classes; nothing is downloaded.

A missing prediction never helps: it counts as the prediction that is furthest from the reference,
which each metric defines.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsebench.metrics.base import InMemoryMetric

METRICS = {
    "accuracy": "sparsebench.metrics.labels:Accuracy",
    "bleu": "sparsebench.metrics.ngrams:Bleu",
    "cider": "sparsebench.metrics.captions:Cider",
    "f1": "sparsebench.metrics.labels:F1",
    "matthews": "sparsebench.metrics.labels:Matthews",
    "meteor": "sparsebench.metrics.captions:Meteor",
    "nist": "sparsebench.metrics.ngrams:Nist",
    "pearson": "sparsebench.metrics.labels:Pearson",
    "rouge_l": "sparsebench.metrics.captions:RougeL",
    "spearman": "sparsebench.metrics.labels:Spearman",
    "squad": "sparsebench.metrics.squad:Squad",
    "squad2": "sparsebench.metrics.squad:Squad2",
}
"""Name -> the class of the metric, imported when it is first computed."""


def check_name(name: str) -> None:
    """Raise ``UnknownNameError`` if there is no such metric."""
    if name not in METRICS:
        raise UnknownNameError("metric", name, known=METRICS)


def compute(name: str, predictions: Sequence[Any], references: Sequence[Any]) -> dict[str, float]:
    """Compute a metric.

    Args:
        name: One of ``METRICS``.
        predictions: One per example: class indices, numbers or texts; None if missing.
        references: One per example; for metrics of texts a list of texts.

    Returns:
        The name of the metric -> its value; some metrics have several values.

    Raises:
        UnknownNameError: There is no such metric.
        ValueError: There is no example, or the numbers of predictions and references differ.
    """
    check_name(name)
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions for {len(references)} references")
    if not len(references):
        raise ValueError(f"{name}: no example to score")
    module, _, attribute = METRICS[name].partition(":")
    metric: InMemoryMetric = getattr(import_module(module), attribute)()
    values = metric.compute(predictions=predictions, references=references)
    return {key: float(value) for key, value in values.items()}
