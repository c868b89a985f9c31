"""Data-to-text generation: put a meaning representation into words."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sparsebench import metrics
from sparsebench.models.families import IGNORED, Form
from sparsebench.tasks.base import Prediction, Reference, Scores, Task
from sparsebench.tasks.features import in_batches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

BATCH = 2000
"""Examples per batch of encoding."""


@dataclass(frozen=True, kw_only=True)
class TextTask(Task):
    """A task that generates texts from meaning representations; a subclass loads the data.

    Examples have the columns ``id``, ``mr`` (the meaning representation) and ``references`` (texts
    that express it): one in the training set, all of them in a reported split.

    Attributes:
        name: The name that users write, and the first word of a prompt for text to text.
        prefixed: Whether such a prompt begins with the name.
        metrics: The metrics to compute, by the names of ``sparsebench.metrics``.
    """

    name: str
    title: str
    description: str
    group: str
    prefixed: bool = True
    metrics: tuple[str, ...] = ("bleu", "nist")
    forms: tuple[Form, ...] = (Form.LANGUAGE_MODEL, Form.TEXT_TO_TEXT)
    headline_metric: str = "BLEU"
    together: str | None = "mr"
    in_percent: bool = False

    def prompt(self, mr: str) -> str:
        """Return the prompt for a meaning representation."""
        return mr

    def encode(
        self,
        examples: Dataset,
        *,
        tokenizer: PreTrainedTokenizerBase,
        form: Form,
        max_length: int,
    ) -> Dataset:
        """Encode meaning representations with their first references.

        The sequence of a language model is the prompt, the end token, the text and the end token
        again; only the text and the last token have a loss. The end of a long text is cut.
        """
        encode = self._pairs if form is Form.TEXT_TO_TEXT else self._continued
        return in_batches(examples, encode, size=BATCH, tokenizer=tokenizer, max_length=max_length)

    def encode_inputs(
        self,
        examples: Dataset,
        *,
        tokenizer: PreTrainedTokenizerBase,
        form: Form,
        max_length: int,
    ) -> Dataset:
        """Encode meaning representations to generate from: the part before the text."""
        encode = self._pairs if form is Form.TEXT_TO_TEXT else self._to_continue
        return in_batches(examples, encode, size=BATCH, tokenizer=tokenizer, max_length=max_length)

    def decode(
        self,
        outputs: Sequence[Any],
        *,
        form: Form,  # noqa: ARG002 - a text is a text
        examples: Dataset | None = None,  # noqa: ARG002
        features: Dataset | None = None,  # noqa: ARG002
    ) -> list[Prediction]:
        """Drop the blanks around each text."""
        return [str(text).strip() for text in outputs]

    def references(self, examples: Dataset) -> list[Reference]:
        """Return each meaning representation, ``mr``, with its ``texts``."""
        pairs = zip(examples["mr"], examples["references"], strict=True)
        return [{"mr": mr, "texts": list(texts)} for mr, texts in pairs]

    def score(self, predictions: Sequence[Prediction], references: Sequence[Reference]) -> Scores:
        """Compute every metric that is available here; a missing text counts as an empty one."""
        absent = self.missing_metrics()
        groups = [reference["texts"] for reference in references]  # type: ignore[index,call-overload]
        scores: Scores = {}
        for metric in self.metrics:
            if metric not in absent:
                scores |= metrics.compute(metric, predictions, groups)
        return scores

    def headline(self, scores: Mapping[str, Scores]) -> float:
        """Return BLEU of the test set, or of the only split."""
        split = scores["test"] if "test" in scores else next(iter(scores.values()))
        return split["bleu"]

    def hold_out(self, train: Dataset, *, share: float, seed: int) -> tuple[Dataset, Dataset]:
        """Split training examples in two that share no meaning representation.

        The examples held out are grouped by their meaning representation.
        """
        kept, held = super().hold_out(train, share=share, seed=seed)
        return kept, grouped(held)

    def _pairs(
        self,
        batch: Mapping[str, list[Any]],
        *,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
    ) -> dict[str, list[Any]]:
        """Encode a batch for an encoder and its decoder."""
        before = f"{self.name} " if self.prefixed else ""
        prompts = [f"{before}{self.prompt(mr)}" for mr in batch["mr"]]
        found = tokenizer(prompts, truncation=True, max_length=max_length)
        targets = tokenizer([texts[0] for texts in batch["references"]])
        return {
            "input_ids": found["input_ids"],
            "attention_mask": found["attention_mask"],
            "labels": targets["input_ids"],
        }

    def _to_continue(
        self,
        batch: Mapping[str, list[Any]],
        *,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
    ) -> dict[str, list[Any]]:
        prompts = [self.prompt(mr) for mr in batch["mr"]]
        found = tokenizer(prompts, truncation=True, max_length=max_length - 1)
        ids = [[*row, tokenizer.eos_token_id] for row in found["input_ids"]]
        return {"input_ids": ids, "attention_mask": [[1] * len(row) for row in ids]}

    def _continued(
        self,
        batch: Mapping[str, list[Any]],
        *,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
    ) -> dict[str, list[Any]]:
        prompts = self._to_continue(batch, tokenizer=tokenizer, max_length=max_length)
        texts = [f" {references[0]}" for references in batch["references"]]
        targets = [[*row, tokenizer.eos_token_id] for row in tokenizer(texts)["input_ids"]]
        pairs = list(zip(prompts["input_ids"], targets, strict=True))
        ids = [[*prompt, *target][:max_length] for prompt, target in pairs]
        return {
            "input_ids": ids,
            "attention_mask": [[1] * len(row) for row in ids],
            "labels": [
                [*[IGNORED] * len(prompt), *target][:max_length] for prompt, target in pairs
            ],
        }


def grouped(examples: Dataset) -> Dataset:
    """Join the references of each meaning representation, in order of first appearance."""
    from datasets import Dataset

    first: dict[str, int] = {}
    for mr in examples["mr"]:
        first.setdefault(mr, len(first))
    rows = sorted(examples, key=lambda row: first[row["mr"]])
    groups = [list(group) for _, group in groupby(rows, key=lambda row: row["mr"])]
    return Dataset.from_dict(
        {
            "id": [group[0]["id"] for group in groups],
            "mr": [group[0]["mr"] for group in groups],
            "references": [[text for row in g for text in row["references"]] for g in groups],
        }
    )
