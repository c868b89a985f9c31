"""Tasks that answer a question with a part of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsebench import metrics
from sparsebench.errors import UserError
from sparsebench.models.families import Form
from sparsebench.tasks.base import Answer, Reference, Scores, Task
from sparsebench.tasks.encoding import in_batches
from sparsebench.tasks.files import read_json
from sparsebench.tasks.windows import Span, best_spans, by_example, place_answers, windows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

BATCH = 500
"""Questions that are encoded at once."""

LONGEST_ANSWER = 30
"""The most tokens of a span, as in the scripts of BERT (arXiv:1810.04805)."""

BEST = 20
"""Spans of each window that are looked through for the first that is a text."""

UNANSWERABLE = "unanswerable"
"""What text to text writes where there is no answer."""

_INPUTS = ("example", "starts", "ends", "nothing")


@dataclass(frozen=True, kw_only=True)
class QuestionTask(Task):
    """A task whose answers are parts of a context; a subclass says how to load it.

    Examples have the columns ``id``, ``question``, ``context``, ``texts`` (the right answers, none
    where there is none) and ``starts`` (the character each begins at).

    Attributes:
        name: How users call the task.
        may_be_silent: Whether a question may have no answer.
        labels_of_prompt: What stands before the question and the context in a prompt.
        threshold: How much better "no answer" must be than the best span to be given.
    """

    name: str
    title: str
    description: str
    group: str
    may_be_silent: bool = False
    labels_of_prompt: tuple[str, str] = ("question:", "context:")
    threshold: float = 0.0
    forms: tuple[Form, ...] = (Form.SPAN, Form.TEXT_TO_TEXT)
    headline_metric: str = "F1"
    max_answer_tokens: int = 32
    together: str | None = "title"

    def encode(
        self,
        examples: Dataset,
        *,
        tokenizer: PreTrainedTokenizerBase,
        form: Form,
        max_length: int,
    ) -> Dataset:
        """Turns questions into features to train on, to give their first answer.

        For a span every window is one, and those without the answer learn to say so. For text to
        text the prompt is that of the T5 paper (Raffel et al. 2020, appendix D.15); of a context
        that is too long, the end is cut.
        """
        encode = self._prompts if form is Form.TEXT_TO_TEXT else self._placed_windows
        return in_batches(examples, encode, size=BATCH, tokenizer=tokenizer, max_length=max_length)

    def encode_inputs(
        self,
        examples: Dataset,
        *,
        tokenizer: PreTrainedTokenizerBase,
        form: Form,
        max_length: int,
    ) -> Dataset:
        """Turns questions into features to answer: for a span, one row a window."""
        encode = self._prompts if form is Form.TEXT_TO_TEXT else self._windows
        return in_batches(examples, encode, size=BATCH, tokenizer=tokenizer, max_length=max_length)

    def decode(
        self, outputs: Sequence[Any], *, form: Form, examples: Dataset, features: Dataset
    ) -> list[Answer]:
        """Turns texts, or the logits of all windows of a question, into answers.

        Where a question may have no answer, a span comes with ``no_answer``: by how much "no
        answer", in the window that holds it least likely, is better than the best span.
        """
        if form is Form.TEXT_TO_TEXT:
            texts = [text.strip() for text in outputs]
            return ["" if self.may_be_silent and t == UNANSWERABLE else t for t in texts]
        groups = by_example(features, outputs)
        return [
            self._choose(context, group)
            for context, group in zip(examples["context"], groups, strict=True)
        ]

    def references(self, examples: Dataset) -> list[Reference]:
        """Returns the right answers of each question; none where there is none."""
        return list(examples["texts"])

    def score(self, predictions: Sequence[Answer], references: Sequence[Reference]) -> Scores:
        """Computes exact match and F1; where a question may have no answer, also of both kinds.

        Where spans tell how sure they are, the thresholds that would have scored best are told,
        too: a bound, since they are chosen on the answers that are scored.
        """
        if not self.may_be_silent:
            return metrics.compute("squad", predictions, references)
        scores = metrics.compute("squad2", [self._final(p) for p in predictions], references)
        sure = [p for p in predictions if isinstance(p, dict)]
        if len(sure) == len(predictions):
            from sparsebench.metrics.thresholds import best_thresholds

            scores |= best_thresholds(
                [p["text"] for p in sure],
                [p["no_answer"] for p in sure],
                references,  # type: ignore[arg-type]
            )
        return scores

    def read_predictions(self, file: Path, examples: Mapping[str, Dataset]) -> dict[str, Answer]:  # noqa: ARG002
        """Reads the official format: a JSON object of id and answer, empty where there is none."""
        found = read_json(file)
        if not isinstance(found, dict):
            raise UserError(f"{file}: should be a JSON object of id and answer")
        for key, answer in found.items():
            if not isinstance(answer, str):
                raise UserError(f"{file}: the answer to {key!r} should be a text, not {answer!r}")
        return found

    def headline(self, scores: Mapping[str, Scores]) -> float:
        """Returns the F1 of the one split."""
        (split,) = scores.values()
        return split["f1"]

    def _final(self, prediction: Answer) -> Answer:
        if not isinstance(prediction, dict):
            return prediction
        return "" if prediction["no_answer"] > self.threshold else prediction["text"]

    def _choose(self, context: str, group: list[dict[str, Any]]) -> Answer:
        text, score = _best_text(context, _spans(group))
        if not self.may_be_silent:
            return text
        silence = min(float(row["logits"][:, int(row["nothing"])].sum()) for row in group)
        return {"text": text, "no_answer": silence - score}

    def _windows(
        self,
        batch: Mapping[str, list[Any]],
        *,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
    ) -> dict[str, list[Any]]:
        pair = (batch["question"], batch["context"])
        return windows(*pair, tokenizer=tokenizer, max_length=max_length)

    def _placed_windows(self, batch: Mapping[str, list[Any]], **terms: Any) -> dict[str, list[Any]]:
        columns = self._windows(batch, **terms)
        answers = [
            (starts[0], starts[0] + len(texts[0])) if texts else (0, 0)
            for texts, starts in zip(batch["texts"], batch["starts"], strict=True)
        ]
        place_answers(columns, answers)
        return {name: values for name, values in columns.items() if name not in _INPUTS}

    def _prompts(
        self,
        batch: Mapping[str, list[Any]],
        *,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
    ) -> dict[str, list[Any]]:
        """Encodes a batch for an encoder and its decoder; only the context is ever cut."""
        pairs = zip(self.labels_of_prompt, (batch["question"], batch["context"]), strict=True)
        texts = [[f"{label} {text}" for text in column] for label, column in pairs]
        found = tokenizer(
            *texts, add_special_tokens=False, truncation="only_second", max_length=max_length - 1
        )
        ids = [[*row, tokenizer.eos_token_id] for row in found["input_ids"]]
        answers = [texts[0] if texts else UNANSWERABLE for texts in batch["texts"]]
        return {
            "input_ids": ids,
            "attention_mask": [[1] * len(row) for row in ids],
            "labels": tokenizer(answers)["input_ids"],
        }


def _spans(group: Iterable[Mapping[str, Any]]) -> list[Span]:
    """Returns the best spans of all windows of a question, the best first."""
    found = [
        span
        for row in group
        for span in best_spans(
            row["logits"],
            np.asarray(row["starts"]),
            np.asarray(row["ends"]),
            longest=LONGEST_ANSWER,
            count=BEST,
        )
    ]
    return sorted(found, key=lambda span: -span.score)


def _best_text(context: str, spans: Iterable[Span]) -> tuple[str, float]:
    """Returns the first span that is a text, with its score."""
    for span in spans:
        if text := context[span.first : span.last].strip():
            return text, span.score
    return "", float("-inf")
