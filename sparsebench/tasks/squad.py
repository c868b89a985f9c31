"""SQuAD 1.1 (Rajpurkar et al. 2016) and 2.0 (2018), from the Hub or the official JSON files.

The reported split is the development set: the answers of the test set are not public.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from sparsebench.errors import UserError
from sparsebench.tasks.base import DataSource, MissingDataError, TaskData
from sparsebench.tasks.features import examples_fingerprint
from sparsebench.tasks.questions import QuestionTask
from sparsebench.tasks.reading import read_hub, read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from datasets import Dataset

LARGEST_SHIFT = 32
"""The most characters by which the place of an answer on the Hub may be wrong."""

RawQuestion: TypeAlias = "tuple[str, dict[str, Any]]"
"""The place of a question for messages, and its columns as on the Hub."""


@dataclass(frozen=True, kw_only=True)
class SquadTask(QuestionTask):
    """One version of SQuAD.

    The Hub and the official files give the same examples: blanks around a text are dropped, and
    the place of an answer is corrected accordingly. In a file, an answer must be at its
    ``answer_start``. The Hub's copy of 2.0 dropped the blanks before a context without correcting
    the places: there, an answer is moved to the nearest occurrence of its text, by at most
    ``LARGEST_SHIFT`` characters.

    Attributes:
        version_of_data: The end of the file names, such as ``"v1.1"``.
        hub: The repository on the Hub.
    """

    group: str = "squad"
    version_of_data: str
    hub: str

    def load(self, source: DataSource) -> TaskData:
        """Read the training set and the development set, which is reported.

        Raises:
            MissingDataError: A file is not in the folder, or the Hub does not respond.
            UserError: A file is malformed; the message names the place.
        """
        names = ("train", "validation")
        if source.folder is None:
            rows, origin = read_hub(self.hub, revision=source.revision, title=self.title)
            raw = {name: _hub_questions(rows[name], where=name) for name in names}
        else:
            files = {name: self._file(source.folder, name) for name in names}
            raw = {name: _file_questions(file) for name, file in files.items()}
            origin = str(files["train"].parent)
        splits = {name: self._dataset(name, questions) for name, questions in raw.items()}
        fingerprint = examples_fingerprint(splits)
        return TaskData(splits.pop("train"), splits, fingerprint, origin)

    def official_files(self) -> Sequence[str]:
        """Return the names of the official files; they may be in a folder ``squad``."""
        return [self._file_name(split) for split in ("train", "validation")]

    def load_split(self, source: DataSource, split: str) -> dict[str, Dataset]:
        """Read the development set only.

        Raises:
            MissingDataError: It is not in the folder, or the Hub does not respond.
            UserError: It is malformed, or there is no such split.
        """
        if source.folder is None or split not in self.splits:
            return super().load_split(source, split)
        questions = _file_questions(self._file(source.folder, "validation"))
        return {"validation": self._dataset("validation", questions)}

    def _file(self, folder: Path, split: str) -> Path:
        name = self._file_name(split)
        for place in (folder, folder / "squad"):
            if (place / name).is_file():
                return place / name
        raise MissingDataError(
            f"{self.title}: there is no {folder / name}: put the official file there, or give no "
            f"data folder, to read {self.hub} from the Hub"
        )

    def _file_name(self, split: str) -> str:
        return f"{'dev' if split == 'validation' else split}-{self.version_of_data}.json"

    def _dataset(self, split: str, questions: Iterable[RawQuestion]) -> Dataset:
        from datasets import Dataset

        examples = list(self._examples(questions))
        if not examples:
            raise UserError(f"{self.title}: its {split} set is empty; is this the official data?")
        return Dataset.from_dict({name: [e[name] for e in examples] for name in examples[0]})

    def _examples(self, questions: Iterable[RawQuestion]) -> Iterator[dict[str, Any]]:
        seen: set[str] = set()
        for where, raw in questions:
            if raw["id"] in seen:
                raise UserError(f"{where}: the id {raw['id']!r} occurs twice")
            seen.add(raw["id"])
            if not raw["texts"] and not self.may_be_silent:
                raise UserError(
                    f"{where}: no answer; in {self.title} every question has one: is this the "
                    "file of SQuAD 2.0?"
                )
            shift = len(raw["context"]) - len(raw["context"].lstrip())
            context = raw["context"].strip()
            pairs = zip(raw["texts"], raw["starts"], strict=True)
            answers = [
                aligned(context, text, start - shift, where=f"{where}, question {raw['id']!r}")
                for text, start in pairs
            ]
            yield {
                "id": raw["id"],
                "title": raw["title"],
                "question": raw["question"].strip(),
                "context": context,
                "texts": [text for text, _ in answers],
                "starts": [start for _, start in answers],
            }


SQUAD = SquadTask(
    name="squad",
    title="SQuAD 1.1",
    description="Which part of a paragraph answers the question? Exact match and F1.",
    version_of_data="v1.1",
    hub="rajpurkar/squad",
)

SQUAD2 = SquadTask(
    name="squad2",
    title="SQuAD 2.0",
    description="As SQuAD 1.1, and half of the questions have no answer. Exact match and F1.",
    version_of_data="v2.0",
    hub="rajpurkar/squad_v2",
    may_be_silent=True,
)


def aligned(context: str, text: str, start: int, *, where: str) -> tuple[str, int]:
    """Return an answer without blanks around it, and its occurrence nearest to a place.

    Args:
        context: The text that contains the answer.
        text: The answer.
        start: The character at which the data says that it begins.
        where: The place of the question, for messages.

    Raises:
        UserError: The context does not contain the answer, or only far from ``start``.
    """
    start += len(text) - len(text.lstrip())
    text = text.strip()
    if text and context.startswith(text, max(start, 0)):
        return text, max(start, 0)
    places = [at for at in range(len(context)) if text and context.startswith(text, at)]
    if not places:
        raise UserError(f"{where}: the answer {text!r} is not in its context")
    nearest = min(places, key=lambda at: abs(at - start))
    if abs(nearest - start) > LARGEST_SHIFT:
        raise UserError(_misplaced(context, text, start, where=where))
    return text, nearest


def _misplaced(context: str, text: str, start: int, *, where: str) -> str:
    """Describe an ``answer_start`` at which the context does not have the answer."""
    if not 0 <= start < len(context):
        found = f"outside the context, which has {len(context):,} characters"
    else:
        found = f"where the context has {context[start : start + len(text)]!r}"
    places = [str(at) for at in range(len(context)) if context.startswith(text, at)]
    known = f"; it occurs at {', '.join(places[:5])}" if text and places else ""
    return f"{where}: 'answer_start' of the answer {text!r} is {start}, {found}{known}"


def _file_questions(file: Path) -> Iterator[RawQuestion]:
    """Yield the questions of an official file, in its order."""
    for place, article in _items(read_json(file), "data", where=str(file)):
        title = article.get("title", "")
        for inner, paragraph in _items(article, "paragraphs", where=place):
            context = _value(paragraph, "context", str, where=inner)
            for where, question in _items(paragraph, "qas", where=inner):
                yield (
                    where,
                    {"title": title, "context": context}
                    | _question(question, where, context=context),
                )


def _hub_questions(rows: Dataset, *, where: str) -> Iterator[RawQuestion]:
    """Yield the questions of a split of the Hub, in its order."""
    for place, row in enumerate(rows):
        answers = row["answers"]
        yield (
            f"{where}[{place}]",
            {
                **{name: row[name] for name in ("id", "title", "question", "context")},
                "texts": list(answers["text"]),
                "starts": list(answers["answer_start"]),
            },
        )


def _question(question: dict[str, Any], where: str, *, context: str) -> dict[str, Any]:
    impossible = question.get("is_impossible", False)
    if not isinstance(impossible, bool):
        raise UserError(f"{where}: 'is_impossible' should be true or false, not {impossible!r}")
    answers = [] if impossible else _items(question, "answers", where=where)
    found = {
        "id": _value(question, "id", str, where=where),
        "question": _value(question, "question", str, where=where),
        "texts": [_value(answer, "text", str, where=place) for place, answer in answers],
        "starts": [_value(answer, "answer_start", int, where=place) for place, answer in answers],
    }
    for text, start in zip(found["texts"], found["starts"], strict=True):
        if text in context and not (start >= 0 and context.startswith(text, start)):
            place = f"{where}, question {found['id']!r}"
            raise UserError(_misplaced(context, text, start, where=place))
    return found


def _items(parent: Any, key: str, *, where: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the objects of a list, each with its place."""
    separator = ": " if isinstance(parent, dict) and key == "data" else "."
    items = _value(parent, key, list, where=where)
    places = [f"{where}{separator}{key}[{index}]" for index in range(len(items))]
    for place, item in zip(places, items, strict=True):
        if not isinstance(item, dict):
            raise UserError(f"{place}: should be an object; is this the official file?")
    return list(zip(places, items, strict=True))


def _value(parent: Any, key: str, kind: type[Any], *, where: str) -> Any:
    if not isinstance(parent, dict) or key not in parent:
        raise UserError(f"{where}: the key {key!r} is missing; is this the official file?")
    if not isinstance(parent[key], kind) or (kind is int and isinstance(parent[key], bool)):
        raise UserError(f"{where}: {key!r} is not of the type {kind.__name__}")
    return parent[key]
