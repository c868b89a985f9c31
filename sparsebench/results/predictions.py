"""The stored predictions of a run, beside the references they were scored against."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from sparsebench.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

PREDICTIONS = "predictions.jsonl"

_COLUMNS = ("split", "id", "prediction", "reference")


class CorruptPredictionsError(UserError):
    """A file of predictions that is not what the store wrote."""


@dataclass(frozen=True)
class Predictions:
    """What a model answered on one split, example by example.

    Attributes:
        ids: What tells the examples apart.
        predictions: The answers; None where missing.
        references: The correct answers.
    """

    ids: tuple[str, ...]
    predictions: tuple[Any, ...]
    references: tuple[Any, ...]


def read_predictions(file: Path) -> dict[str, Predictions]:
    """Reads the predictions of a run: split -> answers, in the order they are stored.

    Raises:
        CorruptPredictionsError: The file is absent or no table of predictions.
    """
    try:
        return parse_predictions(file.read_bytes())
    except (OSError, ValueError) as error:
        raise CorruptPredictionsError(f"{file}: no readable predictions ({error})") from None


def parse_predictions(content: bytes) -> dict[str, Predictions]:
    """Reads the content of a file of predictions.

    Raises:
        ValueError: It is no table of predictions.
    """
    if content and not content.endswith(b"\n"):
        raise ValueError("the last line is cut short")
    # a line break inside a text is written as \n, so that each one here ends a row
    table = b"[" + content.rstrip(b"\n").replace(b"\n", b",") + b"]"
    try:
        rows = from_json(table)
    except ValueError:
        rows = json.loads(table)  # slower, and reads half of a surrogate pair too
    try:
        splits = dict.fromkeys(row["split"] for row in rows)
        answers = {
            split: _answers(rows if len(splits) == 1 else [r for r in rows if r["split"] == split])
            for split in splits
        }
    except (KeyError, TypeError):
        raise ValueError(f"a line is no row of {', '.join(_COLUMNS)}") from None
    if not all(isinstance(split, str) for split in answers):
        raise ValueError("the name of a split is no text")
    return answers


def _answers(rows: list[dict[str, Any]]) -> Predictions:
    return Predictions(
        ids=tuple([row["id"] for row in rows]),
        predictions=tuple([row["prediction"] for row in rows]),
        references=tuple([row["reference"] for row in rows]),
    )


def examples_digest(answers: dict[str, Predictions]) -> str:
    """Hashes which examples were asked and what their references are; equal ones can be paired."""
    digest = hashlib.sha256()
    for split in sorted(answers):
        digest.update(repr((split, answers[split].ids, answers[split].references)).encode())
    return digest.hexdigest()[:16]
