"""The contract of a task: its data, how a backbone sees an example, and how answers are scored.

The harness calls, in this order::

    form = task.form_for(family)
    data = task.load(source)
    features = task.encode(data.train, tokenizer=..., form=form, max_length=128)
    features = task.encode_inputs(examples, ...)   # of a reported split
    answers = task.decode(outputs, form=form, ...) # outputs: what the deployed model gave
    references = task.references(examples)
    scores = task.score(answers, references)       # per split
    task.headline(scores of all splits)            # the one number that leaderboards average
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from sparsebench.errors import UnknownNameError, UserError
from sparsebench.models.families import FAMILIES, Form

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from sparsebench.models.anatomy import Family

Answer = str | int | float | dict[str, Any] | None
"""One prediction, as it is stored: a class index, a number, a text, or several facts by name."""

Reference = str | int | float | list[str] | dict[str, Any] | None
"""What one prediction is scored against, as it is stored."""

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
        together: A column whose equal values stay on one side when examples are held out.
        splits: What ``sparsebench score`` can score, the usual one first.
        in_percent: Whether people write its scores in percent.
    """

    title: str
    description: str
    forms: tuple[Form, ...]
    labels: tuple[str, ...] = ()
    group: str
    headline_metric: str
    max_answer_tokens: int = 16
    together: str | None = None
    splits: tuple[str, ...] = ("dev",)
    in_percent: bool = True
    version: ClassVar[str] = "1"
    """Change it when encoding or scoring changes: older runs are then not reused."""

    def form_for(self, family: Family) -> Form:
        """Returns the form in which a family answers this task.

        Raises:
            NotApplicableError: It cannot.
        """
        for form in self.forms:
            if form in FAMILIES.get(family).forms:
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

    def official_files(self) -> Sequence[str]:
        """Returns the paths in a folder of data that the task is read from; none if it is made."""
        return ()

    def load_split(self, source: DataSource, split: str) -> dict[str, Dataset]:
        """Reads the examples of one of ``splits`` alone, named as in ``TaskData.evaluation``.

        Raises:
            MissingDataError: It is not there, or its references are not public.
            UserError: It is malformed.
        """
        if split not in self.splits:
            raise UnknownNameError(f"split of {self.title}", split, known=self.splits)
        return dict(self.load(source).evaluation)

    def read_predictions(
        self,
        file: Path,
        examples: Mapping[str, Dataset],  # noqa: ARG002 - some formats name examples by place
    ) -> dict[str, Answer]:
        """Reads predictions that were made elsewhere, by the keys of ``prediction_keys``.

        Args:
            file: The file.
            examples: What ``load_split`` returned.

        Raises:
            UserError: It is absent or malformed; the message names file and line.
        """
        raise UserError(f"{self.title}: has no format for files of predictions: {file}")

    def prediction_keys(self, examples: Dataset) -> list[str]:
        """Returns how files of predictions name the examples."""
        return list(examples["id"])

    def hold_out(self, train: Dataset, *, share: float, seed: int) -> tuple[Dataset, Dataset]:
        """Splits training examples in two, alike in their classes where there are classes.

        Args:
            train: The training examples.
            share: The share to hold out.
            seed: Draws it.

        Returns:
            What is left to train on, and what is held out.
        """
        from sklearn.model_selection import GroupShuffleSplit, train_test_split

        if self.together is not None:
            draw = GroupShuffleSplit(n_splits=1, test_size=share, random_state=seed)
            ((kept, held),) = draw.split(range(len(train)), groups=train[self.together][:])
            return train.select(sorted(kept)), train.select(sorted(held))
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
        """Turns examples into features to train on: the columns a model's forward takes, unpadded.

        Args:
            examples: Rows of ``TaskData``.
            tokenizer: The backbone's tokenizer.
            form: The form to encode for; for text to text, ``labels`` are the answer's tokens.
            max_length: The most input tokens; longer inputs are truncated.

        Returns:
            ``input_ids``, ``attention_mask``, where the tokenizer makes them ``token_type_ids``,
            and ``labels``, or for a span ``start_positions`` and ``end_positions``. One row an
            example, in order, or several of which only some hold the answer.
        """

    def encode_inputs(
        self,
        examples: Dataset,
        *,
        tokenizer: PreTrainedTokenizerBase,
        form: Form,
        max_length: int,
    ) -> Dataset:
        """Turns examples into features to predict from; by default the same as to train on.

        Where it gives several rows an example, ``decode`` is what puts them together.
        """
        return self.encode(examples, tokenizer=tokenizer, form=form, max_length=max_length)

    @abstractmethod
    def decode(
        self, outputs: Sequence[Any], *, form: Form, examples: Dataset, features: Dataset
    ) -> list[Answer]:
        """Turns what the model gave into answers.

        Args:
            outputs: One a feature: for classification the logits ``[labels]``, for a span those of
                start and end ``[2, tokens]``, as NumPy arrays; where text is generated the text.
            form: The form that was encoded for.
            examples: What was encoded.
            features: What ``encode_inputs`` made of it.

        Returns:
            One answer an example; None for a text that is no answer.
        """

    @abstractmethod
    def references(self, examples: Dataset) -> list[Reference]:
        """Returns what answers are scored against, one an example."""

    @abstractmethod
    def score(self, predictions: Sequence[Answer], references: Sequence[Reference]) -> Scores:
        """Scores the answers of one split; an answer that is None counts as wrong."""

    def missing_metrics(self) -> dict[str, str]:
        """Returns why metrics of the task cannot be computed here: metric -> reason."""
        return {}

    @abstractmethod
    def headline(self, scores: Mapping[str, Scores]) -> float:
        """Returns the one number that the task contributes to an average.

        Args:
            scores: Split name -> the scores of that split.
        """
