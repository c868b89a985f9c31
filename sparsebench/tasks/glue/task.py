"""A task of GLUE: what its two sources call things, and how they are made the same."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsebench.errors import UserError
from sparsebench.tasks.base import DataSource, MissingDataError, TaskData
from sparsebench.tasks.fingerprint import examples_fingerprint
from sparsebench.tasks.glue import sources
from sparsebench.tasks.sentences import SentenceTask

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datasets import Dataset


_SHORT = ("validation", "dev")
"""What splits are called in full, and for short."""


@dataclass(frozen=True, kw_only=True)
class GlueTask(SentenceTask):
    """One task of GLUE.

    The Hub and the official files give the same examples:

    - Blanks around a text are dropped. SST-2's sentences end in one, and MRPC's pairs lost theirs
      when the official files were made.
    - A label is the index of its class. The files of MNLI, QNLI and RTE write its name instead.
    - STS-B's numbers have float32 precision, as on the Hub: 2.11111111111111 is 2.1111112.
    - ``id`` is the place in the split. Four of the tasks have no index in their files, and the
      Hub's one of MRPC counts rows of the file that train and development set were drawn from.

    Attributes:
        folder: The folder of the official files.
        columns: The columns of the files that hold the texts, where they are not ``fields``.
        label_column: The column of the files that holds the label.
        header: The names of all columns, where the files do not begin with them.
        files: Split -> file; first the training set, then what is reported.
        skip_short: Whether rows with too few values are skipped. The first release of QQP has
            some, broken by a tab or a line break in a question; the Hub skips them, too.
    """

    group: str = "glue"
    folder: str
    columns: tuple[str, ...] = ()
    label_column: str = "label"
    header: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = (("train", "train.tsv"), ("validation", "dev.tsv"))
    skip_short: bool = False

    def load(self, source: DataSource) -> TaskData:
        """Reads the training set and the reported splits.

        Raises:
            MissingDataError: A file is not in the folder, or the Hub does not answer.
            UserError: A line is malformed; the message names file and line.
        """
        if source.folder is None:
            raw, origin = sources.from_hub(self, revision=source.revision)
        else:
            raw, origin = sources.from_folder(self, source.folder)
        splits = {name: self._dataset(name, examples) for name, examples in raw.items()}
        fingerprint = examples_fingerprint(splits)
        return TaskData(splits.pop("train"), splits, fingerprint, origin)

    def official_files(self) -> Sequence[str]:
        """Returns the paths of the official files; a folder ``glue`` may hold them."""
        return [f"{self.folder}/{name}" for _, name in self.files]

    def load_split(self, source: DataSource, split: str) -> dict[str, Dataset]:
        """Reads the development set alone; the labels of the test set are not public.

        Raises:
            MissingDataError: A file is not in the folder, or the Hub does not answer.
            UserError: A line is malformed, or no such split can be scored.
        """
        if split == "test":
            raise MissingDataError(
                f"{self.title}: the labels of the test set are not public: send your answers to "
                "gluebenchmark.com, or score those for the development set (--split dev)"
            )
        if source.folder is None or split not in self.splits:
            found = super().load_split(source, split)
        else:
            raw, _ = sources.from_folder(self, source.folder, without=("train",))
            found = {name: self._dataset(name, examples) for name, examples in raw.items()}
        return {k: rows for k, rows in found.items() if split in ("dev", k.replace(*_SHORT))}

    def _dataset(self, split: str, examples: Iterable[sources.RawExample]) -> Dataset:
        from datasets import Dataset

        columns: dict[str, list[Any]] = {name: [] for name in ("id", *self.fields, "label")}
        for place, (where, *texts, label) in enumerate(examples):
            columns["id"].append(f"{split}-{place}")
            columns["label"].append(self._label(label, where=where))
            for field, text in zip(self.fields, texts, strict=True):
                columns[field].append(text.strip())
            if not any(columns[field][-1] for field in self.fields):
                raise UserError(f"{where}: no text here; is this the official data?")
        if not columns["id"]:
            raise UserError(f"{self.title}: its {split} set is empty; is this the official data?")
        return Dataset.from_dict(columns)

    def _label(self, label: str | float, *, where: str) -> float:
        """Reads a label as either source writes it."""
        if self.is_regression:
            number = _number(label)
            if not math.isfinite(number):
                raise UserError(f"{where}: label {label!r} is not a number")
            return float(str(np.float32(number)))
        spellings = [*self.labels, *map(str, range(len(self.labels)))]
        if str(label) not in spellings:
            raise UserError(f"{where}: label {label!r} is none of {', '.join(spellings)}")
        return spellings.index(str(label)) % len(self.labels)


def _number(label: str | float) -> float:
    try:
        return float(label)
    except ValueError:
        return math.nan
