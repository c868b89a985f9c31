"""The E2E NLG challenge (Novikova et al. 2017, Dušek et al. 2020): texts about restaurants.

A task is to put a meaning representation into words. Examples come from the Hub or the official CSV
files. Development and test set are reported; the headline is BLEU of the test set, as published.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from sparsebench.errors import UserError
from sparsebench.metrics import captions
from sparsebench.tasks.base import (
    DataSource,
    MissingDataError,
    Prediction,
    Reference,
    Scores,
    TaskData,
)
from sparsebench.tasks.features import examples_fingerprint
from sparsebench.tasks.reading import decoding, read_hub, read_pairs, unique_predictions
from sparsebench.tasks.slots import key_of, linearise, parse, slot_error_rates
from sparsebench.tasks.texts import TextTask, grouped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from datasets import Dataset

HUB = "tuetschek/e2e_nlg"
PARQUET = "refs/convert/parquet"
"""The revision on the Hub that contains the data; the main revision contains a script."""

FILES = {"train": "trainset.csv", "validation": "devset.csv", "test": "testset_w_refs.csv"}
"""Split -> official file."""

JAVA_METRICS = ("meteor", "rouge_l", "cider")
"""The metrics that need the extra ``e2e`` and Java."""

_SPLITS = {"dev": "validation", "test": "test"}

RawRow: TypeAlias = "tuple[str, str, str]"
"""The place of a row for messages, its meaning representation, and its text."""


@dataclass(frozen=True, kw_only=True)
class E2ETask(TextTask):
    """E2E NLG: 42,061 texts to train on; 547 and 630 meaning representations to put into words."""

    group: str = "e2e"
    metrics: tuple[str, ...] = ("bleu", "nist", *JAVA_METRICS)
    max_answer_tokens: int = 100
    splits: tuple[str, ...] = tuple(_SPLITS)

    def prompt(self, mr: str) -> str:
        """Return the slots as ``name : Blue Spice | eatType : pub``."""
        return linearise(parse(mr))

    def load(self, source: DataSource) -> TaskData:
        """Read the training set, and development and test set grouped by meaning representation.

        Raises:
            MissingDataError: A file is not in the folder, or the Hub does not respond.
            UserError: A row is malformed; the message names file and line.
        """
        if source.folder is None:
            revision = source.revision or PARQUET
            rows, origin = read_hub(HUB, revision=revision, title=self.title)
            raw = {name: _hub_rows(rows[name], where=name) for name in FILES}
        else:
            files = {name: _find_file(source.folder, name) for name in FILES}
            raw = {name: _file_rows(file) for name, file in files.items()}
            origin = str(files["train"].parent)
        splits = {name: self._dataset(name, rows) for name, rows in raw.items()}
        splits |= {name: grouped(splits[name]) for name in _SPLITS.values()}
        fingerprint = examples_fingerprint(splits)
        return TaskData(splits.pop("train"), splits, fingerprint, origin)

    def official_files(self) -> Sequence[str]:
        """Return the names of the official files; they may be in a folder ``e2e``."""
        return list(FILES.values())

    def load_split(self, source: DataSource, split: str) -> dict[str, Dataset]:
        """Read only the development or the test set.

        Raises:
            MissingDataError: It is not in the folder, or the Hub does not respond.
            UserError: It is malformed, or there is no such split.
        """
        if source.folder is None or split not in _SPLITS:
            found = super().load_split(source, split)
            return {_SPLITS[split]: found[_SPLITS[split]]}
        name = _SPLITS[split]
        return {name: grouped(self._dataset(name, _file_rows(_find_file(source.folder, name))))}

    def score(self, predictions: Sequence[Prediction], references: Sequence[Reference]) -> Scores:
        """Compute the five metrics of the challenge, and the slot error rate."""
        scores = super().score(predictions, references)
        mrs = [reference["mr"] for reference in references]  # type: ignore[index,call-overload]
        return scores | slot_error_rates(mrs, [str(text or "") for text in predictions])

    def read_predictions(
        self,
        file: Path,
        examples: Mapping[str, Dataset],  # noqa: ARG002
    ) -> dict[str, Prediction]:
        """Read a TSV file of meaning representations and texts; rows and slots in any order."""

        def read(where: str, mr: str, text: str) -> tuple[str, Prediction]:
            try:
                return key_of(mr), text
            except ValueError as error:
                raise UserError(f"{where}: no meaning representation: {error}") from None

        return unique_predictions(read_pairs(file, headers=("mr",)), read=read)

    def prediction_keys(self, examples: Dataset) -> list[str]:
        """Return the slots of each meaning representation, in alphabetical order."""
        return [key_of(mr) for mr in examples["mr"]]

    def missing_metrics(self) -> dict[str, str]:
        """Return what METEOR, ROUGE-L and CIDEr lack here, if anything."""
        reason = captions.absence()
        return dict.fromkeys(JAVA_METRICS, reason) if reason else {}

    def _dataset(self, split: str, rows: Iterable[RawRow]) -> Dataset:
        from datasets import Dataset

        columns: dict[str, list[Any]] = {"id": [], "mr": [], "references": []}
        for place, (where, mr, text) in enumerate(rows):
            try:
                parse(mr)
            except ValueError as error:
                raise UserError(f"{where}: no meaning representation: {error}") from None
            if not text.strip():
                raise UserError(f"{where}: the text is empty; is this the official data?")
            columns["id"].append(f"{split}-{place}")
            columns["mr"].append(mr.strip())
            columns["references"].append([" ".join(text.split())])
        if not columns["id"]:
            raise UserError(f"{self.title}: its {split} set is empty; is this the official data?")
        return Dataset.from_dict(columns)


E2E = E2ETask(
    name="e2e",
    title="E2E NLG",
    description="What is there to say of a restaurant? BLEU, NIST, METEOR, ROUGE-L, CIDEr, slots.",
)


def _find_file(folder: Path, split: str) -> Path:
    for place in (folder, folder / "e2e"):
        if (place / FILES[split]).is_file():
            return place / FILES[split]
    raise MissingDataError(
        f"E2E NLG: there is no {folder / FILES[split]}: put the official file there, or give no "
        f"data folder, to read {HUB} from the Hub"
    )


def _file_rows(file: Path) -> Iterator[RawRow]:
    """Yield the rows of an official file; a quoted value may contain a line break."""
    with decoding(file), file.open(encoding="utf-8-sig", newline="") as stream:
        yield from _csv_rows(file, csv.reader(stream, strict=True))


def _hub_rows(rows: Dataset, *, where: str) -> Iterator[RawRow]:
    """Yield the rows of a split of the Hub."""
    pairs = zip(rows["meaning_representation"], rows["human_reference"], strict=True)
    for place, (mr, text) in enumerate(pairs):
        yield f"{where}[{place}]", mr, text


def _csv_rows(file: Path, reader: Iterator[list[str]]) -> Iterator[RawRow]:
    line = 1
    try:
        for values in reader:
            where, line = f"{file}:{line}", reader.line_num + 1  # type: ignore[attr-defined]
            if where.endswith(":1"):
                if values != ["mr", "ref"]:
                    raise UserError(f"{where}: the columns should be mr and ref, not {values}")
            elif len(values) == 2:  # noqa: PLR2004 - mr and ref
                yield where, values[0], values[1]
            elif values:
                raise UserError(f"{where}: {len(values)} values where 2 are expected (mr, ref)")
    except csv.Error as error:
        raise UserError(f"{file}:{line}: not CSV: {error}") from None
