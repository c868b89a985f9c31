"""The stored predictions of a run, beside the references they are scored against."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from sparsebench import bounded_files
from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

PREDICTIONS = "predictions.jsonl"

_PREDICTION = re.compile(rb'(?<=, "prediction": ).*(?=, "reference": )')
_CUT = b"\0"
_COLUMNS = ("split", "id", "prediction", "reference")


class CorruptPredictionsError(UserError):
    """A file of predictions that is not what the store wrote."""


@dataclass(frozen=True)
class Predictions:
    """The predictions of a model on one split, example by example.

    Attributes:
        ids: The identifier of each example.
        predictions: The predicted label, number or text; None where missing.
        references: The correct ones.
    """

    ids: tuple[str, ...]
    predictions: tuple[Any, ...]
    references: tuple[Any, ...]


def parse_predictions(content: bytes) -> dict[str, Predictions]:
    """Read the content of a file of predictions.

    Raises:
        ValueError: It is not a table of predictions.
    """
    if content and not content.endswith(b"\n"):
        raise ValueError("the last line is cut short")
    rows = parse_lines(content.rstrip(b"\n"))
    try:
        splits = dict.fromkeys(row["split"] for row in rows)
        found = {
            split: _columns(rows if len(splits) == 1 else [r for r in rows if r["split"] == split])
            for split in splits
        }
    except (KeyError, TypeError):
        raise ValueError(f"a line is no row of {', '.join(_COLUMNS)}") from None
    if not all(isinstance(split, str) for split in found):
        raise ValueError("the name of a split is no text")
    return found


def parse_lines(content: bytes) -> list[Any]:
    """Read JSON values, one a line; the last line has no line break.

    Raises:
        ValueError: A line is not one JSON value.
    """
    # a line break inside a text is written as \n, so that each one here ends a value
    array = b"[" + content.replace(b"\n", b",") + b"]"
    try:
        values = from_json(array)
    except ValueError:  # more slowly, with half of a surrogate pair, or with a clear message
        try:
            values = bounded_files.parse_json(array.decode(), name=PREDICTIONS)
        except UserError as error:
            raise ValueError(str(error)) from None
    if len(values) != (content.count(b"\n") + 1 if content else 0):
        raise ValueError("a line is not one value")
    return list(values)


def _columns(rows: Sequence[dict[str, Any]]) -> Predictions:
    return Predictions(
        ids=tuple([row["id"] for row in rows]),
        predictions=tuple([row["prediction"] for row in rows]),
        references=tuple([row["reference"] for row in rows]),
    )


def examples_digest(predictions: dict[str, Predictions]) -> str:
    """Hash the examples and their references; runs with equal digests can be compared in pairs."""
    digest = hashlib.sha256()
    for split in sorted(predictions):
        found = predictions[split]
        digest.update(repr((split, found.ids, found.references)).encode())
    return digest.hexdigest()[:16]


def cut_predictions(content: bytes | None) -> tuple[bytes | None, bytes | None]:
    """Take a file of predictions apart, so that runs on the same data share the examples.

    Args:
        content: The file; None for none.

    Returns:
        The predictions as JSON, one a line, and the rest of the file with a zero byte in place of
        each; where it cannot be taken apart, None and the whole file.
    """
    if content is None:
        return None, None
    predictions = b"\n".join(_PREDICTION.findall(content))
    examples, found = _PREDICTION.subn(_CUT, content)
    if _CUT in content or found != content.count(b"\n"):
        return None, content
    try:
        restored = Examples(examples).answered(parse_lines(predictions))
        same = repr(restored) == repr(parse_predictions(content))  # NaN is not equal to itself
    except ValueError:
        same = False
    return (predictions, examples) if same else (None, content)


def join_predictions(examples: bytes, predictions: bytes | None) -> bytes:
    """Put a file of predictions together again."""
    if predictions is None:
        return examples
    pairs = zip_longest(examples.split(_CUT), predictions.split(b"\n"), fillvalue=b"")
    return b"".join(chain.from_iterable(pairs))


class Examples:
    """The examples of runs on the same data, without predictions.

    Args:
        content: A file of predictions with a zero byte in place of each.

    Raises:
        ValueError: It is not a table of predictions.
    """

    def __init__(self, content: bytes) -> None:
        rest = content.replace(_CUT, b"null")
        self._splits = parse_predictions(rest)
        self._places: dict[str, list[int]] = {split: [] for split in self._splits}
        for place, row in enumerate(parse_lines(rest.rstrip(b"\n"))):
            self._places[row["split"]].append(place)

    def answered(self, predictions: Sequence[Any]) -> dict[str, Predictions]:
        """Return the examples with a run's predictions, one a line.

        Raises:
            ValueError: There are more or fewer predictions than examples.
        """
        if len(predictions) != sum(map(len, self._places.values())):
            raise ValueError("the numbers of predictions and examples differ")
        return {
            split: Predictions(
                examples.ids,
                tuple([predictions[place] for place in self._places[split]]),
                examples.references,
            )
            for split, examples in self._splits.items()
        }
