"""The two places that the questions of SQuAD come from: the official JSON files and the Hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from sparsebench.errors import UserError
from sparsebench.tasks.base import MissingDataError
from sparsebench.tasks.files import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from datasets import Dataset

RawQuestion: TypeAlias = "tuple[str, dict[str, Any]]"
"""Where a question is, for messages; its columns as the Hub has them."""


def find_file(folder: Path, name: str, *, title: str, hub: str) -> Path:
    """Returns an official file in a folder, or in a folder ``squad`` of it.

    Raises:
        MissingDataError: It is not there.
    """
    for place in (folder, folder / "squad"):
        if (place / name).is_file():
            return place / name
    raise MissingDataError(
        f"{title}: there is no {folder / name}: put the official file there, or give no data "
        f"folder, to read {hub} from the Hub"
    )


def file_questions(file: Path) -> Iterator[RawQuestion]:
    """Yields the questions of an official file, in its order.

    Raises:
        UserError: It is no JSON, or not of the official format; the message says where.
    """
    for place, article in _items(read_json(file), "data", where=str(file)):
        title = article.get("title", "")
        for inner, paragraph in _items(article, "paragraphs", where=place):
            context = _value(paragraph, "context", str, where=inner)
            for where, question in _items(paragraph, "qas", where=inner):
                yield where, {"title": title, "context": context} | _question(question, where)


def hub_questions(rows: Dataset, *, where: str) -> Iterator[RawQuestion]:
    """Yields the questions of a split of the Hub, in its order."""
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


def _question(question: dict[str, Any], where: str) -> dict[str, Any]:
    answers = [] if question.get("is_impossible") else _items(question, "answers", where=where)
    return {
        "id": _value(question, "id", str, where=where),
        "question": _value(question, "question", str, where=where),
        "texts": [_value(answer, "text", str, where=place) for place, answer in answers],
        "starts": [_value(answer, "answer_start", int, where=place) for place, answer in answers],
    }


def _items(parent: Any, key: str, *, where: str) -> list[tuple[str, dict[str, Any]]]:
    """Returns the objects of a list, each with where it is."""
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
    if not isinstance(parent[key], kind):
        raise UserError(f"{where}: {key!r} is not of the type {kind.__name__}")
    return parent[key]
