"""The eight tasks of GLUE (Wang et al. 2019) and WNLI, from the Hub or from the official files.

The reported split is the development set: the labels of the test set are not public. Classes are in
the order of the Hub. WNLI is optional, as its development set was drawn so that a model that
memorises the training set gets it wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from sparsebench.errors import UserError
from sparsebench.tasks.base import DataSource, MissingDataError, TaskData
from sparsebench.tasks.features import examples_fingerprint
from sparsebench.tasks.reading import read_hub, read_tsv
from sparsebench.tasks.sentences import SentenceTask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from datasets import Dataset

HUB = "nyu-mll/glue"

RawExample: TypeAlias = "tuple[Any, ...]"
"""The place of an example for messages, its texts, and its label as the source writes it."""

_SHORT = ("validation", "dev")
"""The full and the short name of the reported splits."""


@dataclass(frozen=True, kw_only=True)
class GlueTask(SentenceTask):
    """One task of GLUE.

    The Hub and the official files give the same examples:

    - Blanks around a text are dropped. SST-2's sentences end in one, and MRPC's pairs lost theirs
      when the official files were written.
    - A label is the index of its class. The files of MNLI, QNLI and RTE write its name instead.
    - STS-B's numbers have float32 precision, as on the Hub: 2.11111111111111 is 2.1111112.
    - ``id`` is the place in the split. Four of the tasks have no index in their files, and the
      index of MRPC on the Hub counts rows of the file that training and development set were drawn
      from.

    Attributes:
        folder: The folder of the official files.
        columns: The columns of the files that contain the texts, if they differ from ``fields``.
        label_column: The column of the files that contains the label.
        header: The names of all columns, if the files do not begin with them.
        files: Split -> file; first the training set, then the reported splits.
        skip_short: Skip rows with too few values. The first release of QQP has some, broken by a
            tab or a line break in a question; the Hub skips them, too.
    """

    group: str = "glue"
    folder: str
    columns: tuple[str, ...] = ()
    label_column: str = "label"
    header: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = (("train", "train.tsv"), ("validation", "dev.tsv"))
    skip_short: bool = False

    def load(self, source: DataSource) -> TaskData:
        """Read the training set and the reported splits.

        Raises:
            MissingDataError: A file is not in the folder, or the Hub does not respond.
            UserError: A line is malformed; the message names file and line.
        """
        if source.folder is None:
            rows, origin = read_hub(HUB, self.name, revision=source.revision, title=self.title)
            raw = {name: self._hub_rows(name, rows[name]) for name, _ in self.files}
        else:
            place = self._place(source.folder, self.files)
            raw = {name: self._file_rows(place / file) for name, file in self.files}
            origin = str(place)
        splits = {name: self._dataset(name, examples) for name, examples in raw.items()}
        fingerprint = examples_fingerprint(splits)
        return TaskData(splits.pop("train"), splits, fingerprint, origin)

    def official_files(self) -> Sequence[str]:
        """Return the paths of the official files; they may be in a folder ``glue``."""
        return [f"{self.folder}/{name}" for _, name in self.files]

    def load_split(self, source: DataSource, split: str) -> dict[str, Dataset]:
        """Read only the development set; the labels of the test set are not public.

        Raises:
            MissingDataError: A file is not in the folder, or the Hub does not respond.
            UserError: A line is malformed, or there is no such split.
        """
        if split == "test":
            raise MissingDataError(
                f"{self.title}: the labels of the test set are not public: send predictions for it "
                "to gluebenchmark.com, or score those for the development set (--split dev)"
            )
        if source.folder is None or split not in self.splits:
            found = super().load_split(source, split)
        else:
            files = [(name, file) for name, file in self.files if name != "train"]
            place = self._place(source.folder, files)
            rows = {name: self._file_rows(place / file) for name, file in files}
            found = {name: self._dataset(name, examples) for name, examples in rows.items()}
        return {k: rows for k, rows in found.items() if split in ("dev", k.replace(*_SHORT))}

    def _place(self, folder: Path, files: Iterable[tuple[str, str]]) -> Path:
        """Return the folder of the official files, which is in ``folder`` or its ``glue``."""
        places = [folder / self.folder, folder / "glue" / self.folder]
        place = next((place for place in places if place.is_dir()), places[0])
        for _, name in files:
            if not (place / name).is_file():
                raise MissingDataError(
                    f"{self.title}: there is no {place / name}: put the official GLUE file there, "
                    f"or give no data folder, to read {HUB} from the Hub"
                )
        return place

    def _file_rows(self, file: Path) -> Iterator[RawExample]:
        columns = (*(self.columns or self.fields), self.label_column)
        rows = read_tsv(file, columns=columns, header=self.header, skip_short=self.skip_short)
        return ((f"{file}:{line}", *values) for line, values in rows)

    def _hub_rows(self, split: str, rows: Dataset) -> Iterator[RawExample]:
        columns = [rows[column] for column in (*self.fields, "label")]
        for place, values in enumerate(zip(*columns, strict=True)):
            yield f"{HUB} {self.name}, {split}[{place}]", *values

    def _dataset(self, split: str, examples: Iterable[RawExample]) -> Dataset:
        from datasets import Dataset

        columns: dict[str, list[Any]] = {name: [] for name in ("id", *self.fields, "label")}
        for place, (where, *texts, label) in enumerate(examples):
            columns["id"].append(f"{split}-{place}")
            columns["label"].append(self._label(label, where=where))
            for field, text in zip(self.fields, texts, strict=True):
                columns[field].append(text.strip())
            if not any(columns[field][-1] for field in self.fields):
                raise UserError(f"{where}: the text is empty; is this the official data?")
        if not columns["id"]:
            raise UserError(f"{self.title}: its {split} set is empty; is this the official data?")
        return Dataset.from_dict(columns)

    def _label(self, label: str | float, *, where: str) -> float:
        """Return the label as a class index or a number, from the format of either source."""
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


COLA = GlueTask(
    name="cola",
    title="CoLA",
    description="Is the sentence acceptable English? Matthews correlation.",
    labels=("unacceptable", "acceptable"),
    fields=("sentence",),
    metrics=("matthews",),
    folder="CoLA",
    header=("source", "label", "mark", "sentence"),
)

SST2 = GlueTask(
    name="sst2",
    title="SST-2",
    description="Does the film review like what it speaks of? Accuracy.",
    labels=("negative", "positive"),
    fields=("sentence",),
    folder="SST-2",
)

MRPC = GlueTask(
    name="mrpc",
    title="MRPC",
    description="Do two sentences from the news say the same? Mean of accuracy and F1.",
    labels=("not_equivalent", "equivalent"),
    fields=("sentence1", "sentence2"),
    metrics=("accuracy", "f1"),
    folder="MRPC",
    columns=("#1 String", "#2 String"),
    label_column="Quality",
)

QQP = GlueTask(
    name="qqp",
    title="QQP",
    description="Do two questions ask the same? Mean of accuracy and F1.",
    labels=("not_duplicate", "duplicate"),
    fields=("question1", "question2"),
    metrics=("accuracy", "f1"),
    folder="QQP",
    label_column="is_duplicate",
    skip_short=True,
)

STSB = GlueTask(
    name="stsb",
    title="STS-B",
    description="How alike are two sentences, from 0 to 5? Mean of Pearson and Spearman.",
    labels=("similarity",),
    fields=("sentence1", "sentence2"),
    metrics=("pearson", "spearman"),
    folder="STS-B",
    label_column="score",
)

MNLI = GlueTask(
    name="mnli",
    title="MNLI",
    description="Does the premise imply or contradict the hypothesis? Mean of both accuracies.",
    labels=("entailment", "neutral", "contradiction"),
    fields=("premise", "hypothesis"),
    prompt_order=("hypothesis", "premise"),
    folder="MNLI",
    columns=("sentence1", "sentence2"),
    label_column="gold_label",
    splits=("dev", "dev_matched", "dev_mismatched"),
    files=(
        ("train", "train.tsv"),
        ("validation_matched", "dev_matched.tsv"),
        ("validation_mismatched", "dev_mismatched.tsv"),
    ),
)

QNLI = GlueTask(
    name="qnli",
    title="QNLI",
    description="Does the sentence answer the question? Accuracy.",
    labels=("entailment", "not_entailment"),
    fields=("question", "sentence"),
    folder="QNLI",
)

RTE = GlueTask(
    name="rte",
    title="RTE",
    description="Does the first sentence imply the second? Accuracy.",
    labels=("entailment", "not_entailment"),
    fields=("sentence1", "sentence2"),
    folder="RTE",
)

WNLI = GlueTask(
    name="wnli",
    title="WNLI",
    description="Is the pronoun resolved rightly in the second sentence? Accuracy; optional.",
    labels=("not_entailment", "entailment"),
    fields=("sentence1", "sentence2"),
    folder="WNLI",
)

ALL = (COLA, SST2, MRPC, QQP, STSB, MNLI, QNLI, RTE, WNLI)
"""Every task of GLUE; the last one is optional."""
