"""Classification and regression of one text or a pair of texts."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsebench import metrics
from sparsebench.errors import UserError
from sparsebench.models.families import Form
from sparsebench.tasks.base import Prediction, Reference, Scores, Task
from sparsebench.tasks.features import in_batches
from sparsebench.tasks.reading import read_pairs, unique_predictions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

BATCH = 2000
"""Examples per batch of encoding: enough for the tokenizer's threads, few enough for memory."""


@dataclass(frozen=True, kw_only=True)
class SentenceTask(Task):
    """A task whose examples have one or two texts and a label; a subclass loads the data.

    Examples have the columns ``id``, ``label`` and one for each of ``fields``. A label is a class
    index, or a number if there is a single class.

    Attributes:
        name: The name in a prompt, and the name that users write.
        fields: The columns that contain the texts, one or two, in the order of the data.
        metrics: The metrics to compute, by the names of ``sparsebench.metrics``.
        prompt_order: The order of the fields in a prompt, if it differs.
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

    def __post_init__(self) -> None:
        for metric in self.metrics:
            metrics.check_name(metric)

    @property
    def example_columns(self) -> tuple[str, ...]:  # type: ignore[override]
        """The id, the texts and the label."""
        return ("id", *self.fields, "label")

    @property
    def is_regression(self) -> bool:
        """Whether the label is a number."""
        return len(self.labels) == 1

    @property
    def headline_metric(self) -> str:  # type: ignore[override]
        """The metric, or the metrics whose mean it is."""
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
        """Encode examples; in a pair that is too long, the longer text is cut.

        For classification the tokenizer joins a pair in its own way. If it marks no boundary
        (GPT-2), its separator token, or else a line break, is put between the texts. Nothing is
        appended, so that the last token is one of the text, truncated or not.

        For text to text the prompt is that of the T5 paper (Raffel et al. 2020, appendix D), such
        as ``mrpc sentence1: ... sentence2: ...``. Truncation differs: T5 cuts the end of the
        prompt, and with it the whole second text if the first is long.
        """
        encode = self._prompts if form is Form.TEXT_TO_TEXT else self._inputs
        return in_batches(examples, encode, size=BATCH, tokenizer=tokenizer, max_length=max_length)

    def decode(
        self,
        outputs: Sequence[Any],
        *,
        form: Form,
        examples: Dataset | None = None,  # noqa: ARG002 - a prediction depends on the output alone
        features: Dataset | None = None,  # noqa: ARG002
    ) -> list[Prediction]:
        """Turn logits or texts into class indices or numbers.

        A text is valid if it is the name of a class or a finite number, with or without blanks
        around it. Logits that are not finite give no prediction.
        """
        if form is Form.TEXT_TO_TEXT:
            return [self._parse_label(text.strip()) for text in outputs]
        return [self._choose(np.asarray(logits)) for logits in outputs]

    def references(self, examples: Dataset) -> list[Reference]:
        """Return the labels."""
        return list(examples["label"])

    def score(self, predictions: Sequence[Prediction], references: Sequence[Reference]) -> Scores:
        """Compute every metric of the task; each defines how a missing prediction counts."""
        scores: Scores = {}
        for metric in self.metrics:
            scores |= metrics.compute(metric, predictions, references)
        return scores

    def read_predictions(
        self, file: Path, examples: Mapping[str, Dataset]
    ) -> dict[str, Prediction]:
        """Read a TSV file of id and prediction, the format of GLUE.

        An id is the place of the example from 0, or ``split-place`` if several splits are scored
        at once. A class is written as its name or as its number from 0.
        """
        splits = list(examples.values())

        def read(where: str, key: str, text: str) -> tuple[str, Prediction]:
            if key.isdecimal():
                if len(splits) > 1:
                    names = ", ".join(f"{name}-{key}" for name in examples)
                    raise UserError(f"{where}: which split is {key} of? write one of {names}")
                ids = splits[0]["id"]
                key = ids[int(key)] if int(key) < len(ids) else key
            return key, self._read_label(text, where=where)

        return unique_predictions(
            read_pairs(file, headers=("index", "id", "idx", "guid")), read=read
        )

    def headline(self, scores: Mapping[str, Scores]) -> float:
        """Return the mean over all metrics and all splits, each with the same weight."""
        return fmean(value for split in scores.values() for value in split.values())

    def target(self, label: float) -> str:
        """Return a label as the target text of text to text; a number to the nearest 0.2."""
        if self.is_regression:
            return f"{round(label * 5) / 5:.1f}"
        return self.labels[int(label)]

    def _parse_label(self, text: str) -> Prediction:
        if not self.is_regression:
            return self.labels.index(text) if text in self.labels else None
        try:
            number = float(text)
        except ValueError:
            return None
        return number if np.isfinite(number) else None

    def _read_label(self, text: str, *, where: str) -> Prediction:
        """Return a label from a file of predictions."""
        numbers = [] if self.is_regression else [str(n) for n in range(len(self.labels))]
        predicted = numbers.index(text) if text in numbers else self._parse_label(text)
        if predicted is None:
            known = "a number" if self.is_regression else f"one of {', '.join(self.labels)}"
            raise UserError(f"{where}: the prediction {text!r} is not {known}")
        return predicted

    def _choose(self, logits: np.ndarray[Any, Any]) -> Prediction:
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
        """Encode a batch for a classification head."""
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
        """Encode a batch for an encoder and its decoder.

        A pair is encoded together, without special tokens, so that the longer text is cut; the
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
        targets = tokenizer([self.target(label) for label in batch["label"]])
        return {
            "input_ids": ids,
            "attention_mask": [[1] * len(row) for row in ids],
            "labels": targets["input_ids"],
        }
