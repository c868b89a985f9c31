"""Reading predictions that were made elsewhere, with errors that name file and line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparsebench.errors import UserError
from sparsebench.tasks.files import read_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from sparsebench.tasks.base import Answer


def read_pairs(file: Path, *, headers: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """Reads a tab-separated file of keys and predictions, in any order.

    A value may stand in quotes, which are doubled inside; a byte order mark, empty lines and a
    first line that begins with one of ``headers`` do not count. A key without a tab behind it has
    an empty prediction.

    Yields:
        Where the line is, the key and the prediction.

    Raises:
        UserError: The file is not there, not in UTF-8, or a line has more values.
    """
    for number, line in read_lines(file):
        where = f"{file}:{number}"
        values = [_unquoted(value.strip()) for value in line.split("\t")]
        if number == 1 and values[0].lower() in headers:
            continue
        if len(values) > 2:  # noqa: PLR2004 - a key and a prediction
            raise UserError(f"{where}: {len(values)} values where 2 are expected, split by a tab")
        if values != [""]:
            yield where, values[0], values[1] if len(values) > 1 else ""


def unique(
    pairs: Iterator[tuple[str, str, str]], *, read: Callable[[str, str, str], tuple[str, Answer]]
) -> dict[str, Answer]:
    """Returns key -> answer.

    Args:
        pairs: What ``read_pairs`` yields.
        read: Makes a key and an answer of each.

    Raises:
        UserError: A key is there twice.
    """
    found: dict[str, Answer] = {}
    for where, key, text in pairs:
        name, answer = read(where, key, text)
        if name in found:
            raise UserError(f"{where}: {key!r} is predicted twice")
        found[name] = answer
    return found


def _unquoted(value: str) -> str:
    inner = value[1:-1]
    if len(value) > 1 and value[0] == value[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return value
