"""Question answering: the answer is a part of a text."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsebench import metrics
from sparsebench.errors import UserError
from sparsebench.models.families import Form
from sparsebench.tasks.base import Prediction, Reference, Scores, Task
from sparsebench.tasks.features import in_batches
from sparsebench.tasks.reading import read_json
from sparsebench.tasks.windows import (
    SpanCandidate,
    best_spans,
    by_example,
    place_answers,
    windows,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

BATCH = 500
"""Questions per batch of encoding."""

LONGEST_ANSWER = 30
"""The most tokens of a span, as in the scripts of BERT (arXiv:1810.04805)."""

BEST = 20
"""Candidates of each window, of which the first that is not blank is chosen."""

NAMED = 5
"""Questions left out of training that the warning names."""

UNANSWERABLE = "unanswerable"
"""The target of text to text where there is no answer."""

_INPUTS = ("example", "starts", "ends", "nothing")


@dataclass(frozen=True, kw_only=True)
class QuestionTask(Task):
    """A task whose answers are parts of a context; a subclass loads the data.

    Examples have the columns ``id``, ``question``, ``context``, ``texts`` (the right answers, none
    if there is no answer) and ``starts`` (the first character of each).

    Attributes:
        name: The name that users write.
        may_be_silent: Whether a question may have no answer.
        labels_of_prompt: The labels before the question and the context in a prompt.
        threshold: "No answer" is predicted if its score exceeds that of the best span by more.
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
        """Encode questions, with their first answer as the target.

        For a span, every window is a feature; windows without the answer have "no answer" as their
        target. A question with an answer that no window contains completely is left out, with a
        warning, since all of its windows would say "no answer".

        For text to text the prompt is that of the T5 paper (Raffel et al. 2020, appendix D.15); the
        end of a long context is cut.

        Raises:
            UserError: All questions were left out.
        """
        terms: dict[str, Any] = {"tokenizer": tokenizer, "max_length": max_length}
        if form is Form.TEXT_TO_TEXT:
            return in_batches(examples, self._prompts, size=BATCH, **terms)
        left_out: list[str] = []
        encode = partial(self._placed_windows, left_out=left_out)
        features = in_batches(examples, encode, size=BATCH, **terms)
        if left_out:
            logger.warning(
                "%s: left %d of %d questions out of training: no window of %d tokens contains the "
                "whole answer, or no token covers it (%s)",
                self.title,
                len(left_out),
                len(examples),
                max_length,
                ", ".join(left_out[:NAMED]) + (", ..." if len(left_out) > NAMED else ""),
            )
        if not len(features):
            raise UserError(f"{self.title}: no question is left to train on; raise max_length")
        return features

    def encode_inputs(
        self,
        examples: Dataset,
        *,
        tokenizer: PreTrainedTokenizerBase,
        form: Form,
        max_length: int,
    ) -> Dataset:
        """Encode questions to predict from: for a span, one row per window."""
        encode = self._prompts if form is Form.TEXT_TO_TEXT else self._windows
        return in_batches(examples, encode, size=BATCH, tokenizer=tokenizer, max_length=max_length)

    def decode(
        self, outputs: Sequence[Any], *, form: Form, examples: Dataset, features: Dataset
    ) -> list[Prediction]:
        """Turn texts, or the logits of all windows of a question, into predictions.

        If a question may have no answer, a span comes with ``no_answer``: the lowest score of "no
        answer" over the windows, minus the score of the best span.
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
        """Return the right answers of each question; none if it has no answer."""
        return list(examples["texts"])

    def score(self, predictions: Sequence[Prediction], references: Sequence[Reference]) -> Scores:
        """Compute exact match and F1; if a question may have no answer, also of both kinds.

        For spans with ``no_answer``, the best scores over all thresholds are added: an upper bound,
        since the thresholds are chosen on the predictions that are scored.
        """
        if not self.may_be_silent:
            return metrics.compute("squad", predictions, references)
        scores = metrics.compute("squad2", [self._final(p) for p in predictions], references)
        spans = [p for p in predictions if isinstance(p, dict)]
        if len(spans) == len(predictions):
            from sparsebench.metrics.squad import best_thresholds

            scores |= best_thresholds(
                [p["text"] for p in spans],
                [p["no_answer"] for p in spans],
                references,  # type: ignore[arg-type]
            )
        return scores

    def read_predictions(
        self,
        file: Path,
        examples: Mapping[str, Dataset],  # noqa: ARG002
    ) -> dict[str, Prediction]:
        """Read the official format: a JSON object of id and text, empty for "no answer"."""
        found = read_json(file)
        if not isinstance(found, dict):
            raise UserError(f"{file}: should be a JSON object of id and text")
        for key, text in found.items():
            if not isinstance(text, str):
                raise UserError(
                    f"{file}: the prediction for {key!r} should be a text, not {text!r}"
                )
        return found

    def headline(self, scores: Mapping[str, Scores]) -> float:
        """Return the F1 of the only split."""
        (split,) = scores.values()
        return split["f1"]

    def _final(self, prediction: Prediction) -> Prediction:
        if not isinstance(prediction, dict):
            return prediction
        return "" if prediction["no_answer"] > self.threshold else prediction["text"]

    def _choose(self, context: str, group: list[dict[str, Any]]) -> Prediction:
        text, score = _best_text(context, _spans(group))
        if not self.may_be_silent:
            return text
        no_answer = min(float(row["logits"][:, int(row["nothing"])].sum()) for row in group)
        return {"text": text, "no_answer": no_answer - score}

    def _windows(
        self,
        batch: Mapping[str, list[Any]],
        *,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
    ) -> dict[str, list[Any]]:
        pair = (batch["question"], batch["context"])
        return windows(*pair, tokenizer=tokenizer, max_length=max_length)

    def _placed_windows(
        self, batch: Mapping[str, list[Any]], *, left_out: list[str], **terms: Any
    ) -> dict[str, list[Any]]:
        """Encode a batch to train on; add the ids of the questions left out to ``left_out``."""
        columns = self._windows(batch, **terms)
        answers = [
            (starts[0], starts[0] + len(texts[0])) if texts else (0, 0)
            for texts, starts in zip(batch["texts"], batch["starts"], strict=True)
        ]
        lost = set(place_answers(columns, answers))
        left_out += [batch["id"][place] for place in sorted(lost)]
        kept = [example not in lost for example in columns["example"]]
        return {
            name: list(compress(values, kept))
            for name, values in columns.items()
            if name not in _INPUTS
        }

    def _prompts(
        self,
        batch: Mapping[str, list[Any]],
        *,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
    ) -> dict[str, list[Any]]:
        """Encode a batch for an encoder and its decoder; only the context is cut."""
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


def _spans(group: Iterable[Mapping[str, Any]]) -> list[SpanCandidate]:
    """Return the best candidates of all windows of a question, the best first."""
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


def _best_text(context: str, spans: Iterable[SpanCandidate]) -> tuple[str, float]:
    """Return the text of the first candidate that is not blank, with its score."""
    for span in spans:
        if text := context[span.first : span.last].strip():
            return text, span.score
    return "", float("-inf")
