"""Tasks that put a meaning into words."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sparsebench import metrics
from sparsebench.models.families import IGNORED, Form
from sparsebench.tasks.base import Answer, Reference, Scores, Task
from sparsebench.tasks.encoding import in_batches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

BATCH = 2000
"""Examples tokenised at once."""


@dataclass(frozen=True, kw_only=True)
class TextTask(Task):
    """A task that turns meanings into texts; a subclass says how to load and to write them.

    Examples have the columns ``id``, ``mr`` (the meaning) and ``references`` (texts that say it):
    one to train on, all that there are to score against.

    Attributes:
        name: How users call the task, and what a prompt for text to text begins with.
        prefixed: Whether such a prompt begins with the name.
        metrics: What is computed, by the names of ``sparsebench.metrics``.
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
        """Returns what a model is given to read of a meaning."""
        return mr

    def encode(
        self,
        examples: Dataset,
        *,
        tokenizer: PreTrainedTokenizerBase,
        form: Form,
        max_length: int,
    ) -> Dataset:
        """Turns meanings and their first references into features to train on.

        A language model reads the meaning, its end token, the text and its end token again; the
        loss is that of the text and the last token alone. Where this is too long, the end of the
        text is cut.
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
        """Turns meanings into features to generate from: what comes before the text."""
        encode = self._pairs if form is Form.TEXT_TO_TEXT else self._to_continue
        return in_batches(examples, encode, size=BATCH, tokenizer=tokenizer, max_length=max_length)

    def decode(
        self,
        outputs: Sequence[Any],
        *,
        form: Form,  # noqa: ARG002 - a text is a text
        examples: Dataset | None = None,  # noqa: ARG002
        features: Dataset | None = None,  # noqa: ARG002
    ) -> list[Answer]:
        """Drops the blanks around each text."""
        return [str(text).strip() for text in outputs]

    def references(self, examples: Dataset) -> list[Reference]:
        """Returns each meaning, ``mr``, with its ``texts``."""
        pairs = zip(examples["mr"], examples["references"], strict=True)
        return [{"mr": mr, "texts": list(texts)} for mr, texts in pairs]

    def score(self, predictions: Sequence[Answer], references: Sequence[Reference]) -> Scores:
        """Computes every metric that can be had here; a missing text counts as an empty one."""
        absent = self.missing_metrics()
        groups = [reference["texts"] for reference in references]  # type: ignore[index,call-overload]
        scores: Scores = {}
        for metric in self.metrics:
            if metric not in absent:
                scores |= metrics.compute(metric, predictions, groups)
        return scores

    def headline(self, scores: Mapping[str, Scores]) -> float:
        """Returns BLEU of the test set, or of the one split that is there."""
        split = scores["test"] if "test" in scores else next(iter(scores.values()))
        return split["bleu"]

    def hold_out(self, train: Dataset, *, share: float, seed: int) -> tuple[Dataset, Dataset]:
        """Splits training examples in two that share no meaning; what is held out is grouped."""
        kept, held = super().hold_out(train, share=share, seed=seed)
        return kept, grouped(held)

    def _pairs(
        self,
        batch: Mapping[str, list[Any]],
        *,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
    ) -> dict[str, list[Any]]:
        """Encodes a batch for an encoder and its decoder."""
        before = f"{self.name} " if self.prefixed else ""
        prompts = [f"{before}{self.prompt(mr)}" for mr in batch["mr"]]
        found = tokenizer(prompts, truncation=True, max_length=max_length)
        answers = tokenizer([texts[0] for texts in batch["references"]])
        return {
            "input_ids": found["input_ids"],
            "attention_mask": found["attention_mask"],
            "labels": answers["input_ids"],
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
        answers = [[*row, tokenizer.eos_token_id] for row in tokenizer(texts)["input_ids"]]
        pairs = list(zip(prompts["input_ids"], answers, strict=True))
        ids = [[*prompt, *answer][:max_length] for prompt, answer in pairs]
        return {
            "input_ids": ids,
            "attention_mask": [[1] * len(row) for row in ids],
            "labels": [
                [*[IGNORED] * len(prompt), *answer][:max_length] for prompt, answer in pairs
            ],
        }


def grouped(examples: Dataset) -> Dataset:
    """Joins the references of each meaning, in the order in which meanings first appear."""
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
