"""The contract of a task: its data, the encoding of examples, and the scores of predictions.

The harness calls, in this order::

    form = task.form_for(family)
    data = task.load(source)
    features = task.encode(data.train, tokenizer=..., form=form, max_length=128)
    features = task.encode_inputs(examples, ...)       # of a reported split
    predictions = task.decode(outputs, form=form, ...) # outputs of the deployed model
    references = task.references(examples)
    scores = task.score(predictions, references)       # per split
    task.headline(scores of all splits)                # the number that leaderboards average

docs/add-a-task.md explains it with an example.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
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

Prediction = str | int | float | dict[str, Any] | None
"""One prediction, as it is stored: a class index, a number, a text, or several values by name."""

Reference = str | int | float | list[str] | dict[str, Any] | None
"""The reference that one prediction is scored against, as it is stored."""

Scores = dict[str, float]
"""Metric name -> value, as a share of 1 if the metric is a share."""


class NotApplicableError(UserError):
    """An impossible pair, such as BERT on text generation: the run is skipped."""


class MissingDataError(UserError):
    """Data that is not in the expected place."""


@dataclass(frozen=True)
class DataSource:
    """The source of the data of tasks.

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
        train: Training examples; the task defines the columns, of which one is a unique string
            ``id``.
        evaluation: Split name -> examples of the reported splits, in the official order.
        fingerprint: A hash of every example; the same from the Hub and from files.
        origin: The place that it was read from, with the resolved revision. It is recorded, and
            not part of the run key.
    """

    train: Dataset
    evaluation: Mapping[str, Dataset]
    fingerprint: str
    origin: str


class Task(ABC):
    """A data set with its encoding and its scores.

    Attributes:
        title: Its usual name, such as ``"MRPC"``.
        description: One line for ``sparsebench list tasks``.
        forms: The forms that it supports, the preferred ones first.
        labels: For classification, the classes in order; a single one means regression.
        group: The suite of tasks that it belongs to, such as ``"glue"``.
        headline_metric: The name of the headline score, such as ``"matthews"``.
        max_answer_tokens: The most tokens of a generated prediction.
        together: A column whose equal values stay on one side when examples are held out.
        splits: The splits that ``sparsebench score`` can score, the usual one first.
        in_percent: Whether its scores are usually written in percent.
        example_columns: The columns that its examples must have.
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
    example_columns: tuple[str, ...] = ("id",)
    version: ClassVar[str] = "1"
    """Change it when encoding or scoring changes: results of older versions are then not reused."""

    def form_for(self, family: Family) -> Form:
        """Return the form in which a family solves this task.

        Raises:
            NotApplicableError: It supports none of the forms.
        """
        for form in self.forms:
            if form in FAMILIES.get(family).forms:
                return form
        wanted = " or ".join(self.forms)
        raise NotApplicableError(f"{self.title} requires {wanted}, which {family} does not support")

    @abstractmethod
    def load(self, source: DataSource) -> TaskData:
        """Read the data.

        Raises:
            MissingDataError: It is not there; the message names the expected files.
            UserError: It is malformed; the message names file and line.
        """

    def official_files(self) -> Sequence[str]:
        """Return the paths of the task's files in a folder of data; none if it has no files."""
        return ()

    def load_split(self, source: DataSource, split: str) -> dict[str, Dataset]:
        """Read only the examples of one of ``splits``, named as in ``TaskData.evaluation``.

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
    ) -> dict[str, Prediction]:
        """Read a file of predictions, by the keys of ``prediction_keys``.

        Args:
            file: The file.
            examples: The splits that ``load_split`` returned.

        Raises:
            UserError: It is absent or malformed; the message names file and line.
        """
        raise UserError(f"{self.title}: has no format for files of predictions: {file}")

    def prediction_keys(self, examples: Dataset) -> list[str]:
        """Return the keys of examples in files of predictions."""
        return list(examples["id"])

    def hold_out(self, train: Dataset, *, share: float, seed: int) -> tuple[Dataset, Dataset]:
        """Split training examples in two; classes keep their shares.

        Args:
            train: The training examples.
            share: The share to hold out.
            seed: The seed of the draw.

        Returns:
            The examples to train on, and those held out.

        Raises:
            UserError: There are too few examples, of a class or of all.
        """
        from sklearn.model_selection import GroupShuffleSplit, train_test_split

        self._require_enough(train, share=share)
        if self.together is not None:
            draw = GroupShuffleSplit(n_splits=1, test_size=share, random_state=seed)
            ((kept, held),) = draw.split(range(len(train)), groups=train[self.together][:])
            return train.select(sorted(kept)), train.select(sorted(held))
        classes = self.references(train) if len(self.labels) > 1 else None
        kept, held = train_test_split(
            range(len(train)), test_size=share, random_state=seed, stratify=classes
        )
        return train.select(sorted(kept)), train.select(sorted(held))

    def _require_enough(self, train: Dataset, *, share: float) -> None:
        """Raise a ``UserError`` if training examples cannot be split in two."""
        wanted = f"{self.title}: cannot hold out {share:.3g} of the training set (held_out.share)"
        remedy = "or train without a held-out split (protocol: last)"
        if self.together is not None:
            if len(set(train[self.together])) < 2:  # noqa: PLR2004 - one on each side
                raise UserError(
                    f"{wanted}: all examples have the same {self.together!r} and stay together: "
                    f"add examples, {remedy}"
                )
            return
        counts = Counter(self.references(train)) if len(self.labels) > 1 else Counter({0: 2})
        rare = [self.labels[int(label)] for label, count in counts.items() if count == 1]  # type: ignore[arg-type]
        if rare:
            raise UserError(
                f"{wanted}: a single example has the class {', '.join(sorted(rare))}, and both "
                f"parts need one: add examples of the class, remove it, {remedy}"
            )
        held = math.ceil(share * len(train))
        least = len(counts)
        if held < least or len(train) - held < least:
            few, change = ("held out", "raise") if held < least else ("left to train on", "lower")
            number = held if held < least else len(train) - held
            raise UserError(
                f"{wanted}: of {len(train)} examples, {number} would be {few}, and at least "
                f"one of each class is needed: {change} held_out.share, {remedy}"
            )

    @abstractmethod
    def encode(
        self,
        examples: Dataset,
        *,
        tokenizer: PreTrainedTokenizerBase,
        form: Form,
        max_length: int,
    ) -> Dataset:
        """Encode examples into features to train on: arguments of the model's forward, unpadded.

        Args:
            examples: Rows of ``TaskData``.
            tokenizer: The backbone's tokenizer.
            form: The form to encode for; for text to text, ``labels`` are the target tokens.
            max_length: The most input tokens; longer inputs are truncated.

        Returns:
            ``input_ids``, ``attention_mask``, ``token_type_ids`` if the tokenizer returns them, and
            ``labels``, or for a span ``start_positions`` and ``end_positions``. One row per
            example, in order, or several of which only some contain the answer.
        """

    def encode_inputs(
        self,
        examples: Dataset,
        *,
        tokenizer: PreTrainedTokenizerBase,
        form: Form,
        max_length: int,
    ) -> Dataset:
        """Encode examples into features to predict from; by default the same as to train on.

        If it returns several rows per example, ``decode`` merges them.
        """
        return self.encode(examples, tokenizer=tokenizer, form=form, max_length=max_length)

    @abstractmethod
    def decode(
        self, outputs: Sequence[Any], *, form: Form, examples: Dataset, features: Dataset
    ) -> list[Prediction]:
        """Turn outputs of the model into predictions.

        Args:
            outputs: One per feature, as NumPy arrays: for classification the logits ``[labels]``,
                for a span those of start and end ``[2, tokens]``; generated texts as they are.
            form: The form of the features.
            examples: The examples.
            features: Their features, from ``encode_inputs``.

        Returns:
            One prediction per example; None for a text that is not a valid prediction.
        """

    @abstractmethod
    def references(self, examples: Dataset) -> list[Reference]:
        """Return the references that predictions are scored against, one per example."""

    @abstractmethod
    def score(self, predictions: Sequence[Prediction], references: Sequence[Reference]) -> Scores:
        """Score the predictions of one split; a prediction that is None counts as wrong."""

    def missing_metrics(self) -> dict[str, str]:
        """Return the metrics that cannot be computed here: metric -> reason."""
        return {}

    @abstractmethod
    def headline(self, scores: Mapping[str, Scores]) -> float:
        """Return the number that the task contributes to an average.

        Args:
            scores: Split name -> the scores of that split.
        """
