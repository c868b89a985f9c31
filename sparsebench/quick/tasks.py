"""The five tasks of the quick suite; the package draws their data itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sparsebench.quick.examples import (
    Split,
    draw_examples,
    draw_meanings,
    draw_questions,
    missing_slots,
)
from sparsebench.tasks.base import DataSource, Prediction, Reference, Scores, TaskData
from sparsebench.tasks.features import examples_fingerprint
from sparsebench.tasks.questions import QuestionTask
from sparsebench.tasks.sentences import SentenceTask
from sparsebench.tasks.texts import TextTask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def _drawn(draw: Callable[[Split], list[Any]], columns: Sequence[str]) -> TaskData:
    """Draw the examples of a task as a data set with the given columns."""
    from datasets import Dataset

    names: dict[str, Split] = {"train": "train", "validation": "dev"}
    splits = {}
    for name, split in names.items():
        examples = draw(split)
        values = {column: [example[column] for example in examples] for column in columns}
        ids = [f"{split}-{place}" for place in range(len(examples))]
        splits[name] = Dataset.from_dict({"id": ids, **values})
    fingerprint = examples_fingerprint(splits)
    return TaskData(splits.pop("train"), splits, fingerprint, "sparsebench.quick")


@dataclass(frozen=True, kw_only=True)
class ToyTask(SentenceTask):
    """A sentence task in the toy language; its labels are words of that language."""

    group: str = "quick"

    def load(self, source: DataSource) -> TaskData:  # noqa: ARG002 - the data is always drawn
        """Draw the examples; ``source`` has no effect."""
        return _drawn(partial(draw_examples, self.name), (*self.fields, "label"))


@dataclass(frozen=True, kw_only=True)
class ToyQuestions(QuestionTask):
    """Questions about passages in the toy language."""

    group: str = "quick"
    labels_of_prompt: tuple[str, str] = ("sentence1:", "sentence2:")
    max_answer_tokens: int = 8
    together: str | None = None

    def load(self, source: DataSource) -> TaskData:  # noqa: ARG002 - the data is always drawn
        """Draw the examples; ``source`` has no effect."""
        return _drawn(draw_questions, ("question", "context", "texts", "starts"))


@dataclass(frozen=True, kw_only=True)
class ToyTexts(TextTask):
    """Generation of sentences of the toy language from meanings."""

    group: str = "quick"
    prefixed: bool = False
    max_answer_tokens: int = 12
    together: str | None = None

    def load(self, source: DataSource) -> TaskData:  # noqa: ARG002 - the data is always drawn
        """Draw the examples; ``source`` has no effect."""
        return _drawn(draw_meanings, ("mr", "references"))

    def score(self, predictions: Sequence[Prediction], references: Sequence[Reference]) -> Scores:
        """Compute BLEU, NIST, and the share of words of the meanings that are not expressed."""
        mrs = [reference["mr"] for reference in references]  # type: ignore[index,call-overload]
        missing = missing_slots(mrs, [str(text or "") for text in predictions])
        return super().score(predictions, references) | {"slots_missing": missing}


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

TOY_SQUAD = ToyQuestions(
    name="toy-squad",
    title="toy-SQuAD",
    description="Who does what in a passage of the toy language? Exact match and F1.",
)

TOY_E2E = ToyTexts(
    name="toy-e2e",
    title="toy-E2E",
    description="Puts a meaning into a sentence of the toy language. BLEU, NIST, missing slots.",
)
