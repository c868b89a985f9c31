"""Reading text files in the official formats, with errors that name file and line."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UnknownNameError, UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

logger = logging.getLogger(__name__)


def read_tsv(
    file: Path,
    *,
    columns: Sequence[str],
    header: Sequence[str] = (),
    skip_short: bool = False,
) -> Iterator[tuple[int, list[str]]]:
    """Reads some columns of a tab-separated file.

    A tab always ends a value and a line break always ends a row: a quote is a character like any
    other. A byte order mark is dropped, and so are empty lines.

    Args:
        file: The file, in UTF-8.
        columns: The names of the columns to read.
        header: The names of all columns, where the first line does not hold them.
        skip_short: Skip a row that has too few values, with a warning, rather than raise.

    Yields:
        The number of the line, from 1, and its values in the order of ``columns``.

    Raises:
        UserError: The file is not UTF-8, has no such column, or a row has too few or too many.
    """
    lines = ((number, line.split("\t")) for number, line in read_lines(file))
    names = list(header) or next(lines, (1, []))[1]
    places = [_place(column, names, file) for column in columns]
    for number, values in _whole(lines, names, file, skip_short=skip_short):
        yield number, [values[place] for place in places]


def read_lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yields the number of each line, from 1, and the line without its end; no byte order mark.

    Raises:
        UserError: The file cannot be read, or is not UTF-8.
    """
    with decoding(file), file.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, start=1):
            yield number, line.rstrip("\n")


@contextmanager
def decoding(file: Path) -> Iterator[None]:
    """Turns what goes wrong in reading a text file into an error that names the line."""
    try:
        yield
    except UnicodeDecodeError:
        number = _undecodable_line(file)
        raise UserError(f"{file}:{number}: not UTF-8; is this the official file?") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None


def read_json(file: Path) -> Any:
    """Reads a JSON file.

    Raises:
        UserError: It cannot be read, or is not JSON in UTF-8; the message names the line.
    """
    try:
        with decoding(file):
            return json.loads(file.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        place = f"{file}:{error.lineno}"
        raise UserError(f"{place}: not JSON: {error.msg} (column {error.colno})") from None


def _whole(
    lines: Iterable[tuple[int, list[str]]], names: Sequence[str], file: Path, *, skip_short: bool
) -> Iterator[tuple[int, list[str]]]:
    """Passes on the rows that have a value for every name."""
    skipped = 0
    for number, values in lines:
        if values == [""]:
            continue
        if len(values) == len(names):
            yield number, values
        elif skip_short and len(values) < len(names):
            skipped += 1
        else:
            raise UserError(
                f"{file}:{number}: {len(values)} values where {len(names)} are expected "
                f"({', '.join(names)}); is this the official file?"
            )
    if skipped:
        logger.warning("%s: skipped %d rows that have too few values", file, skipped)


def _place(column: str, names: Sequence[str], file: Path) -> int:
    if column not in names:
        raise UnknownNameError("column", column, known=names, where=f"{file}:1")
    return list(names).index(column)


def _undecodable_line(file: Path) -> int:
    with file.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1
