"""The metrics of the tasks: `evaluate.Metric` classes that live here; nothing is fetched.

An answer that is missing never helps: it counts as the answer that is furthest from the right
one. What that is, each metric says.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsebench.metrics.base import InMemoryMetric

METRICS = {
    "accuracy": "sparsebench.metrics.classification:Accuracy",
    "bleu": "sparsebench.metrics.bleu:Bleu",
    "cider": "sparsebench.metrics.captions:Cider",
    "f1": "sparsebench.metrics.classification:F1",
    "matthews": "sparsebench.metrics.classification:Matthews",
    "meteor": "sparsebench.metrics.captions:Meteor",
    "nist": "sparsebench.metrics.nist:Nist",
    "pearson": "sparsebench.metrics.correlation:Pearson",
    "rouge_l": "sparsebench.metrics.captions:RougeL",
    "spearman": "sparsebench.metrics.correlation:Spearman",
    "squad": "sparsebench.metrics.squad:Squad",
    "squad2": "sparsebench.metrics.squad:Squad2",
}
"""Name -> where the metric's class is; it is imported when it is first computed."""


def compute(name: str, predictions: Sequence[Any], references: Sequence[Any]) -> dict[str, float]:
    """Computes a metric.

    Args:
        name: One of ``METRICS``.
        predictions: The answers, one an example: class indices, numbers or texts; None where
            missing.
        references: The correct answers, one an example; for metrics of texts a list of texts.

    Returns:
        The metric's name -> its value; a metric that computes several names each.

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
