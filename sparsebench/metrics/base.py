"""Base classes of the metrics, which need no folder, no lock and no network."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import datasets
import evaluate

if TYPE_CHECKING:
    from collections.abc import Sequence


class InMemoryMetric(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """An `evaluate.Metric` that keeps its inputs in memory.

    By default, `evaluate` creates a folder for each metric in the user's home and locks a file
    there, which fails if the home is read-only and is slow on a network drive.

    Attributes:
        summary: A description in one sentence.
        paper: The paper that defines it.
        dtype: The Arrow type of a prediction.
    """

    summary: str
    paper: str
    dtype: str

    def __init__(self) -> None:
        super().__init__(keep_in_memory=True)

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=self.summary,
            citation=self.paper,
            inputs_description=(
                "Args: predictions, one per example, None if missing; references, likewise."
            ),
            features=self._features(),
        )

    def _features(self) -> datasets.Features:
        value = datasets.Value(self.dtype)
        return datasets.Features({"predictions": value, "references": value})

    def _build_data_dir(self) -> str:
        """Create no folder; none is used in memory."""
        return ""


class TextMetric(InMemoryMetric):
    """A metric of texts, each against several references.

    `evaluate` accepts no missing text, so that each prediction is passed as a list of one text or
    none.
    """

    dtype = "string"

    @abstractmethod
    def values(
        self, predictions: Sequence[str | None], references: Sequence[Sequence[str]]
    ) -> dict[str, float]:
        """Compute the metric.

        Returns:
            The name of the metric -> its value; some metrics have several values.
        """

    def compute(
        self, *, predictions: Sequence[str | None], references: Sequence[Sequence[str]]
    ) -> dict[str, float]:
        """Compute the metric; a missing text is None."""
        lists = [[] if text is None else [text] for text in predictions]
        found: dict[str, float] = super().compute(predictions=lists, references=references)
        return found

    def _features(self) -> datasets.Features:
        texts = datasets.List(datasets.Value(self.dtype))
        return datasets.Features({"predictions": texts, "references": texts})

    def _compute(
        self, predictions: Sequence[list[str]], references: Sequence[Sequence[str]]
    ) -> dict[str, float]:
        return self.values([texts[0] if texts else None for texts in predictions], references)
