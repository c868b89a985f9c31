"""The task of the E2E NLG challenge: a restaurant's meaning representation, put into words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UserError
from sparsebench.metrics import java
from sparsebench.tasks.base import Answer, DataSource, Reference, Scores, TaskData
from sparsebench.tasks.e2e import sources
from sparsebench.tasks.e2e.meaning import key_of, linearise, parse
from sparsebench.tasks.e2e.slots import slot_error_rates
from sparsebench.tasks.fingerprint import examples_fingerprint
from sparsebench.tasks.hub import read_hub
from sparsebench.tasks.predictions import read_pairs, unique
from sparsebench.tasks.texts import TextTask, grouped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from datasets import Dataset

IN_JAVA = ("meteor", "rouge_l", "cider")
"""The metrics that need the extra ``e2e`` and Java."""

_SPLITS = {"dev": "validation", "test": "test"}


@dataclass(frozen=True, kw_only=True)
class E2ETask(TextTask):
    """E2E NLG: 42,061 texts to train on; 547 and 630 meanings to put into words."""

    group: str = "e2e"
    metrics: tuple[str, ...] = ("bleu", "nist", *IN_JAVA)
    max_answer_tokens: int = 100
    splits: tuple[str, ...] = tuple(_SPLITS)

    def prompt(self, mr: str) -> str:
        """Returns the slots as ``name : Blue Spice | eatType : pub``."""
        return linearise(parse(mr))

    def load(self, source: DataSource) -> TaskData:
        """Reads the training set, and development and test set grouped by meaning.

        Raises:
            MissingDataError: A file is not in the folder, or the Hub does not answer.
            UserError: A row is malformed; the message names file and line.
        """
        if source.folder is None:
            revision = source.revision or sources.PARQUET
            rows, origin = read_hub(sources.HUB, revision=revision, title=self.title)
            raw = {name: sources.hub_rows(rows[name], where=name) for name in sources.FILES}
        else:
            files = {name: sources.find_file(source.folder, name) for name in sources.FILES}
            raw = {name: sources.file_rows(file) for name, file in files.items()}
            origin = str(files["train"].parent)
        splits = {name: self._dataset(name, rows) for name, rows in raw.items()}
        splits |= {name: grouped(splits[name]) for name in _SPLITS.values()}
        fingerprint = examples_fingerprint(splits)
        return TaskData(splits.pop("train"), splits, fingerprint, origin)

    def official_files(self) -> Sequence[str]:
        """Returns the names of the official files; a folder ``e2e`` may hold them."""
        return list(sources.FILES.values())

    def load_split(self, source: DataSource, split: str) -> dict[str, Dataset]:
        """Reads the development or the test set alone.

        Raises:
            MissingDataError: It is not in the folder, or the Hub does not answer.
            UserError: It is malformed, or another split is asked for.
        """
        if source.folder is None or split not in _SPLITS:
            found = super().load_split(source, split)
            return {_SPLITS[split]: found[_SPLITS[split]]}
        name = _SPLITS[split]
        rows = sources.file_rows(sources.find_file(source.folder, name))
        return {name: grouped(self._dataset(name, rows))}

    def score(self, predictions: Sequence[Answer], references: Sequence[Reference]) -> Scores:
        """Computes the five metrics of the challenge, and the share of slot errors."""
        scores = super().score(predictions, references)
        mrs = [reference["mr"] for reference in references]  # type: ignore[index,call-overload]
        return scores | slot_error_rates(mrs, [str(text or "") for text in predictions])

    def read_predictions(self, file: Path, examples: Mapping[str, Dataset]) -> dict[str, Answer]:  # noqa: ARG002
        """Reads a TSV file of meaning and text, in any order; nor does that of slots count."""

        def read(where: str, mr: str, text: str) -> tuple[str, Answer]:
            try:
                return key_of(mr), text
            except ValueError as error:
                raise UserError(f"{where}: no meaning representation: {error}") from None

        return unique(read_pairs(file, headers=("mr",)), read=read)

    def prediction_keys(self, examples: Dataset) -> list[str]:
        """Returns the slots of each meaning, in alphabetical order."""
        return [key_of(mr) for mr in examples["mr"]]

    def missing_metrics(self) -> dict[str, str]:
        """Says of METEOR, ROUGE-L and CIDEr what they lack here."""
        reason = java.absence()
        return dict.fromkeys(IN_JAVA, reason) if reason else {}

    def _dataset(self, split: str, rows: Iterable[sources.RawRow]) -> Dataset:
        from datasets import Dataset

        columns: dict[str, list[Any]] = {"id": [], "mr": [], "references": []}
        for place, (where, mr, text) in enumerate(rows):
            try:
                parse(mr)
            except ValueError as error:
                raise UserError(f"{where}: no meaning representation: {error}") from None
            if not text.strip():
                raise UserError(f"{where}: no text here; is this the official data?")
            columns["id"].append(f"{split}-{place}")
            columns["mr"].append(mr.strip())
            columns["references"].append([" ".join(text.split())])
        if not columns["id"]:
            raise UserError(f"{self.title}: its {split} set is empty; is this the official data?")
        return Dataset.from_dict(columns)
