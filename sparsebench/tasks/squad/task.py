"""A version of SQuAD: what its two sources call things, and how they are made the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UserError
from sparsebench.tasks.base import DataSource, TaskData
from sparsebench.tasks.fingerprint import examples_fingerprint
from sparsebench.tasks.hub import read_hub
from sparsebench.tasks.questions import QuestionTask
from sparsebench.tasks.squad import sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from datasets import Dataset


@dataclass(frozen=True, kw_only=True)
class SquadTask(QuestionTask):
    """One version of SQuAD.

    The Hub and the official files give the same examples: blanks around a text are dropped, and
    the place of an answer follows; where it is not where it is said to be, it is the nearest place
    that has its text.

    Attributes:
        version_of_data: What the names of the files end in, such as ``"v1.1"``.
        hub: The repository of the Hub.
    """

    group: str = "squad"
    version_of_data: str
    hub: str

    def load(self, source: DataSource) -> TaskData:
        """Reads the training set and the development set, which is what is reported.

        Raises:
            MissingDataError: A file is not in the folder, or the Hub does not answer.
            UserError: A file is malformed; the message says where.
        """
        names = ("train", "validation")
        if source.folder is None:
            rows, origin = read_hub(self.hub, revision=source.revision, title=self.title)
            raw = {name: sources.hub_questions(rows[name], where=name) for name in names}
        else:
            files = {name: self._file(source.folder, name) for name in names}
            raw = {name: sources.file_questions(file) for name, file in files.items()}
            origin = str(files["train"].parent)
        splits = {name: self._dataset(name, questions) for name, questions in raw.items()}
        fingerprint = examples_fingerprint(splits)
        return TaskData(splits.pop("train"), splits, fingerprint, origin)

    def official_files(self) -> Sequence[str]:
        """Returns the names of the official files; a folder ``squad`` may hold them."""
        return [self._file_name(split) for split in ("train", "validation")]

    def load_split(self, source: DataSource, split: str) -> dict[str, Dataset]:
        """Reads the development set alone.

        Raises:
            MissingDataError: It is not in the folder, or the Hub does not answer.
            UserError: It is malformed, or another split is asked for.
        """
        if source.folder is None or split not in self.splits:
            return super().load_split(source, split)
        questions = sources.file_questions(self._file(source.folder, "validation"))
        return {"validation": self._dataset("validation", questions)}

    def _file(self, folder: Path, split: str) -> Path:
        name = self._file_name(split)
        return sources.find_file(folder, name, title=self.title, hub=self.hub)

    def _file_name(self, split: str) -> str:
        return f"{'dev' if split == 'validation' else split}-{self.version_of_data}.json"

    def _dataset(self, split: str, questions: Iterable[sources.RawQuestion]) -> Dataset:
        from datasets import Dataset

        examples = list(self._examples(questions))
        if not examples:
            raise UserError(f"{self.title}: its {split} set is empty; is this the official data?")
        return Dataset.from_dict({name: [e[name] for e in examples] for name in examples[0]})

    def _examples(self, questions: Iterable[sources.RawQuestion]) -> Iterator[dict[str, Any]]:
        seen: set[str] = set()
        for where, raw in questions:
            if raw["id"] in seen:
                raise UserError(f"{where}: the id {raw['id']!r} is there twice")
            seen.add(raw["id"])
            if not raw["texts"] and not self.may_be_silent:
                raise UserError(
                    f"{where}: no answer; in {self.title} every question has one: is this the "
                    "file of SQuAD 2.0?"
                )
            shift = len(raw["context"]) - len(raw["context"].lstrip())
            context = raw["context"].strip()
            pairs = zip(raw["texts"], raw["starts"], strict=True)
            answers = [aligned(context, text, start - shift, where=where) for text, start in pairs]
            yield {
                "id": raw["id"],
                "title": raw["title"],
                "question": raw["question"].strip(),
                "context": context,
                "texts": [text for text, _ in answers],
                "starts": [start for _, start in answers],
            }


def aligned(context: str, text: str, start: int, *, where: str) -> tuple[str, int]:
    """Returns an answer without blanks around it, and the place nearest to where it is said to be.

    Raises:
        UserError: The context does not hold it.
    """
    start += len(text) - len(text.lstrip())
    text = text.strip()
    if text and context.startswith(text, max(start, 0)):
        return text, max(start, 0)
    places = [at for at in range(len(context)) if text and context.startswith(text, at)]
    if not places:
        raise UserError(f"{where}: the answer {text!r} is not in its context")
    return text, min(places, key=lambda at: abs(at - start))
