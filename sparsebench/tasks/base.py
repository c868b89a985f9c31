"""The contract of a task: its data, how a backbone sees an example, and how answers are scored.

The harness calls, in this order::

    form = task.form_for(family)
    data = task.load(source)
    features = task.encode(data.train, tokenizer=..., form=form, max_length=128)
    answers = task.decode(outputs, form=form)      # outputs: what the deployed model gave
    scores = task.score(answers, references)       # per split
    task.headline(scores of all splits)            # the one number that leaderboards average
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from sparsebench.errors import UserError
from sparsebench.models.families import FORMS, Family, Form

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

Answer = str | int | float | None
"""One prediction or reference, as it is stored: a class index, a number or a text."""

Scores = dict[str, float]
"""Metric name -> value, as a share of 1 where the metric is a share."""


class NotApplicableError(UserError):
    """A pair that makes no sense, such as BERT on text generation: the run is skipped."""


class MissingDataError(UserError):
    """Data that is not where it was looked for."""


@dataclass(frozen=True)
class DataSource:
    """Where the data of tasks comes from.

    Attributes:
        folder: A folder in the official file formats, or None for the Hub.
        revision: The Hub revision to read, or None for the newest.
    """

    folder: Path | None = None
    revision: str | None = None


@dataclass(frozen=True)
class TaskData:
    """The examples of a task.

    Attributes:
        train: Training examples; columns are the task's own, with a unique string ``id``.
        evaluation: Split name -> examples of the reported splits, in the official order.
        fingerprint: A hash of every example; the same from the Hub and from files.
        origin: Where it came from, with the resolved revision: for the record, not for the key.
    """

    train: Dataset
    evaluation: Mapping[str, Dataset]
    fingerprint: str
    origin: str


class Task(ABC):
    """A data set with its encoding and its scores.

    Attributes:
        title: What people call it, such as ``"MRPC"``.
        description: One line for ``sparsebench list tasks``.
        forms: The forms in which it can be answered, the preferred ones first.
        labels: For classification, the classes in order; a single one means regression.
        group: The suite of tasks that it belongs to, such as ``"glue"``.
        headline_metric: What the headline score is called, such as ``"matthews"``.
        max_answer_tokens: The most tokens of an answer, where text is generated.
    """

    title: str
    description: str
    forms: tuple[Form, ...]
    labels: tuple[str, ...] = ()
    group: str
    headline_metric: str
    max_answer_tokens: int = 16
    version: ClassVar[str] = "1"
    """Change it when encoding or scoring changes: older runs are then not reused."""

    def form_for(self, family: Family) -> Form:
        """Returns the form in which a family answers this task.

        Raises:
            NotApplicableError: It cannot.
        """
        for form in self.forms:
            if form in FORMS[family]:
                return form
        wanted = " or ".join(self.forms)
        raise NotApplicableError(f"{self.title} asks for {wanted}, which {family} cannot give")

    @abstractmethod
    def load(self, source: DataSource) -> TaskData:
        """Reads the data.

        Raises:
            MissingDataError: It is not there; the message names what was looked for.
            UserError: It is there and malformed; the message names file and line.
        """

    def hold_out(self, train: Dataset, *, share: float, seed: int) -> tuple[Dataset, Dataset]:
        """Splits training examples in two, alike in their classes where there are classes.

        Args:
            train: The training examples.
            share: The share to hold out.
            seed: Draws it.

        Returns:
            What is left to train on, and what is held out.
        """
        from sklearn.model_selection import train_test_split

        classes = self.references(train) if len(self.labels) > 1 else None
        kept, held = train_test_split(
            range(len(train)), test_size=share, random_state=seed, stratify=classes
        )
        return train.select(sorted(kept)), train.select(sorted(held))

    @abstractmethod
    def encode(
        self,
        examples: Dataset,
        *,
        tokenizer: PreTrainedTokenizerBase,
        form: Form,
        max_length: int,
    ) -> Dataset:
        """Turns examples into features: the columns a model's forward takes, unpadded.

        Args:
            examples: Rows of ``TaskData``.
            tokenizer: The backbone's tokenizer.
            form: The form to encode for; for text to text, ``labels`` are the answer's tokens.
            max_length: The most input tokens; longer inputs are truncated.

        Returns:
            One row an example, in order: ``input_ids``, ``attention_mask``, ``labels`` and, where
            the tokenizer makes them, ``token_type_ids``.
        """

    @abstractmethod
    def decode(self, outputs: Sequence[Any], *, form: Form) -> list[Answer]:
        """Turns what the model gave into answers.

        Args:
            outputs: One an example: for classification the logits ``[labels]`` as a NumPy array,
                where text is generated the text.
            form: The form that was encoded for.

        Returns:
            One answer an example; None for a text that is no answer.
        """

    @abstractmethod
    def references(self, examples: Dataset) -> list[Answer]:
        """Returns the correct answers, one an example."""

    @abstractmethod
    def score(self, predictions: Sequence[Answer], references: Sequence[Answer]) -> Scores:
        """Scores the answers of one split; an answer that is None counts as wrong."""

    @abstractmethod
    def headline(self, scores: Mapping[str, Scores]) -> float:
        """Returns the one number that the task contributes to an average.

        Args:
            scores: Split name -> the scores of that split.
        """
