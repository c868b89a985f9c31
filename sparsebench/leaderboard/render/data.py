"""The formats for other programs, CSV and JSON: raw numbers, nothing rounded."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sparsebench.leaderboard.text import prints

if TYPE_CHECKING:
    from sparsebench.leaderboard.render.document import TextDocument, Value


def to_csv(document: TextDocument) -> str:
    """Return CSV: one line per record, an empty field for a missing value."""
    if not document.records:
        return ""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(map(inert, document.records[0]))
    for record in document.records:
        writer.writerow(map(inert, record.values()))
    return stream.getvalue()


FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - spreadsheets read the wide ones as well
"""Characters that begin a formula in a spreadsheet."""


def inert(value: Value) -> Value:
    """Return a text that no spreadsheet reads as a formula and no terminal as a command.

    Line breaks stay, as CSV quotes them; numbers stay as they are.
    """
    if not isinstance(value, str):
        return value
    text = "".join(char if prints(char) or char == "\n" else " " for char in value)
    return f"'{text}" if value.startswith(FORMULA) else text


def to_json(document: TextDocument) -> str:
    """Return one JSON object in ASCII; a missing number, or one that is not finite, is null."""
    content = _finite(document.content)
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
