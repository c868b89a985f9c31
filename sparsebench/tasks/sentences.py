"""Tasks that give one text, or a pair of texts, a class or a number."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsebench import metrics
from sparsebench.errors import UserError
from sparsebench.models.families import Form
from sparsebench.tasks.base import Answer, Reference, Scores, Task
from sparsebench.tasks.encoding import in_batches
from sparsebench.tasks.predictions import read_pairs, unique

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

BATCH = 2000
"""Examples tokenised at once: many enough for the tokenizer's threads, few enough for memory."""


@dataclass(frozen=True, kw_only=True)
class SentenceTask(Task):
    """A task whose examples have one or two texts and a label; a subclass says how to load it.

    Examples have the columns ``id``, ``label`` and one for each of ``fields``. A label is a class
    index, or a number where there is a single class.

    Attributes:
        name: How the task is called in a prompt, and by users.
        fields: The columns that hold the texts, one or two, in the order of the data.
        metrics: What is computed, by the names of ``sparsebench.metrics``.
        prompt_order: The order of the fields in a prompt, where it is another one.
    """

    name: str
    title: str
    description: str
    group: str
    labels: tuple[str, ...]
    fields: tuple[str, ...]
    metrics: tuple[str, ...] = ("accuracy",)
    prompt_order: tuple[str, ...] = ()
    splits: tuple[str, ...] = ("dev",)
    forms: tuple[Form, ...] = (Form.CLASSIFICATION, Form.TEXT_TO_TEXT)

    @property
    def is_regression(self) -> bool:
        """Whether the label is a number."""
        return len(self.labels) == 1

    @property
    def headline_metric(self) -> str:  # type: ignore[override]
        """The metric, or what the mean is taken of."""
        names = " and ".join(self.metrics)
        return names if len(self.metrics) == 1 else f"mean of {names}"

    def encode(
        self,
        examples: Dataset,
        *,
        tokenizer: PreTrainedTokenizerBase,
        form: Form,
        max_length: int,
    ) -> Dataset:
        """Turns examples into features; of a pair that is too long, the longer text is cut.

        For classification the tokenizer joins a pair in its own way. One that would mark no
        boundary (GPT-2) gets its separator token between the texts, or else a line break. Nothing
        is appended, so that the last token is one of the text, truncated or not.

        For text to text the prompt is that of the T5 paper (Raffel et al. 2020, appendix D), such
        as ``mrpc sentence1: ... sentence2: ...``. We differ in truncation: T5 cuts the end of the
        prompt, and with it the whole second text if the first is long.
        """
        encode = self._prompts if form is Form.TEXT_TO_TEXT else self._inputs
        return in_batches(examples, encode, size=BATCH, tokenizer=tokenizer, max_length=max_length)

    def decode(
        self,
        outputs: Sequence[Any],
        *,
        form: Form,
        examples: Dataset | None = None,  # noqa: ARG002 - an output is all that an answer needs
        features: Dataset | None = None,  # noqa: ARG002
    ) -> list[Answer]:
        """Turns logits or texts into class indices or numbers.

        A text is an answer if it is, blanks around it apart, the name of a class or a finite
        number. Logits that are not finite are no answer either.
        """
        if form is Form.TEXT_TO_TEXT:
            return [self._read(text.strip()) for text in outputs]
        return [self._choose(np.asarray(logits)) for logits in outputs]

    def references(self, examples: Dataset) -> list[Reference]:
        """Returns the labels."""
        return list(examples["label"])

    def score(self, predictions: Sequence[Answer], references: Sequence[Reference]) -> Scores:
        """Computes every metric of the task; see there for what a missing answer counts as."""
        scores: Scores = {}
        for metric in self.metrics:
            scores |= metrics.compute(metric, predictions, references)
        return scores

    def read_predictions(self, file: Path, examples: Mapping[str, Dataset]) -> dict[str, Answer]:
        """Reads a TSV file of id and prediction, as GLUE takes it.

        An id is the place of the example from 0, or ``split-place`` where several splits are
        scored at once. A class is named, or numbered from 0.
        """
        splits = list(examples.values())

        def read(where: str, key: str, text: str) -> tuple[str, Answer]:
            if key.isdecimal():
                if len(splits) > 1:
                    names = ", ".join(f"{name}-{key}" for name in examples)
                    raise UserError(f"{where}: which split is {key} of? write one of {names}")
                ids = splits[0]["id"]
                key = ids[int(key)] if int(key) < len(ids) else key
            return key, self._read_label(text, where=where)

        return unique(read_pairs(file, headers=("index", "id")), read=read)

    def headline(self, scores: Mapping[str, Scores]) -> float:
        """Returns the mean over all metrics and all splits, each with the same weight."""
        return fmean(value for split in scores.values() for value in split.values())

    def answer(self, label: float) -> str:
        """Writes a label in words, as text to text answers it; a number to the nearest 0.2."""
        if self.is_regression:
            return f"{round(label * 5) / 5:.1f}"
        return self.labels[int(label)]

    def _read(self, text: str) -> Answer:
        if not self.is_regression:
            return self.labels.index(text) if text in self.labels else None
        try:
            number = float(text)
        except ValueError:
            return None
        return number if np.isfinite(number) else None

    def _read_label(self, text: str, *, where: str) -> Answer:
        """Reads a label from a file of predictions."""
        numbers = [] if self.is_regression else [str(n) for n in range(len(self.labels))]
        answer = numbers.index(text) if text in numbers else self._read(text)
        if answer is None:
            known = "a number" if self.is_regression else f"one of {', '.join(self.labels)}"
            raise UserError(f"{where}: the prediction {text!r} is not {known}")
        return answer

    def _choose(self, logits: np.ndarray[Any, Any]) -> Answer:
        if not np.isfinite(logits).all():
            return None
        return float(logits.item()) if self.is_regression else int(logits.argmax())

    def _inputs(
        self,
        batch: Mapping[str, list[Any]],
        *,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
    ) -> dict[str, list[Any]]:
        """Encodes a batch for a classification head."""
        texts = [batch[field] for field in self.fields]
        if len(texts) > 1 and not tokenizer.num_special_tokens_to_add(pair=True):
            boundary = tokenizer.sep_token or "\n"
            texts[1] = [boundary + text for text in texts[1]]
        features = tokenizer(*texts, truncation="longest_first", max_length=max_length)
        return {**features, "labels": batch["label"]}

    def _prompts(
        self,
        batch: Mapping[str, list[Any]],
        *,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
    ) -> dict[str, list[Any]]:
        """Encodes a batch for an encoder and its decoder.

        A pair is encoded as one, without special tokens, so that the longer text is cut; the
        parts meet at a blank, where the tokenizers of T5 split anyway.
        """
        order = self.prompt_order or self.fields
        texts = [[f"{field}: {text}" for text in batch[field]] for field in order]
        texts[0] = [f"{self.name} {text}" for text in texts[0]]
        features = tokenizer(
            *texts, add_special_tokens=False, truncation="longest_first", max_length=max_length - 1
        )
        end = tokenizer.eos_token_id
        ids = [[*row, end] for row in features["input_ids"]]
        answers = tokenizer([self.answer(label) for label in batch["label"]])
        return {
            "input_ids": ids,
            "attention_mask": [[1] * len(row) for row in ids],
            "labels": answers["input_ids"],
        }
