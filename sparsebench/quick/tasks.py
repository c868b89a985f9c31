"""The tasks of the quick suite, which need no data but what the package draws itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparsebench.quick.examples import Split, draw_examples
from sparsebench.tasks.base import DataSource, TaskData
from sparsebench.tasks.fingerprint import examples_fingerprint
from sparsebench.tasks.sentences import SentenceTask

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True, kw_only=True)
class ToyTask(SentenceTask):
    """A task in the toy language; classes are answered in words of that language."""

    group: str = "quick"

    def load(self, source: DataSource) -> TaskData:  # noqa: ARG002 - there is but one source
        """Draws the examples; wherever data is said to be, they come from the package."""
        splits = {"train": self._dataset("train"), "validation": self._dataset("dev")}
        fingerprint = examples_fingerprint(splits)
        return TaskData(splits.pop("train"), splits, fingerprint, "sparsebench.quick")

    def _dataset(self, split: Split) -> Dataset:
        from datasets import Dataset

        examples = draw_examples(self.name, split)
        columns: dict[str, list[Any]] = {
            name: [example[name] for example in examples]  # type: ignore[literal-required]
            for name in (*self.fields, "label")
        }
        return Dataset.from_dict({"id": [f"{split}-{i}" for i in range(len(examples))], **columns})


TOY_COLA = ToyTask(
    name="toy-cola",
    title="toy-CoLA",
    description="Is the sentence of the toy language acceptable? Matthews correlation.",
    labels=("no", "yes"),
    fields=("sentence1",),
    metrics=("matthews",),
)

TOY_MRPC = ToyTask(
    name="toy-mrpc",
    title="toy-MRPC",
    description="Do two sentences of the toy language say the same? Mean of accuracy and F1.",
    labels=("no", "yes"),
    fields=("sentence1", "sentence2"),
    metrics=("accuracy", "f1"),
)

TOY_STS = ToyTask(
    name="toy-sts",
    title="toy-STS",
    description="How much meaning do two sentences share? Mean of Pearson and Spearman.",
    labels=("similarity",),
    fields=("sentence1", "sentence2"),
    metrics=("pearson", "spearman"),
)
