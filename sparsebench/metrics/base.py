"""What our metrics have in common: they need no folder, no lock and no network."""

from __future__ import annotations

import datasets
import evaluate


class InMemoryMetric(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """An `evaluate.Metric` that keeps what it is given in memory.

    Without this, `evaluate` makes a folder for each metric in the user's home and locks a file
    there, which fails where the home is read-only and is slow on a network drive.

    Attributes:
        summary: What is computed, in a sentence.
        paper: Where it was defined, as a reference.
        dtype: The Arrow type of an answer.
    """

    summary: str
    paper: str
    dtype: str

    def __init__(self) -> None:
        super().__init__(keep_in_memory=True)

    def _info(self) -> evaluate.MetricInfo:
        value = datasets.Value(self.dtype)
        return evaluate.MetricInfo(
            description=self.summary,
            citation=self.paper,
            inputs_description=(
                "Args: predictions, one an example, None where missing; references, likewise."
            ),
            features=datasets.Features({"predictions": value, "references": value}),
        )

    def _build_data_dir(self) -> str:
        """Makes no folder; none is used in memory."""
        return ""
