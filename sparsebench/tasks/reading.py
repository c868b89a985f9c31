"""Read examples and predictions: official text files, and data sets of the Hub.

Every error names the file, and the line where there is one.
"""

from __future__ import annotations

import codecs
import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sparsebench import bounded_files
from sparsebench.errors import UserError, suggestion
from sparsebench.tasks.base import MissingDataError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from datasets import Dataset, DatasetDict

    from sparsebench.tasks.base import Prediction

logger = logging.getLogger(__name__)

VALUE_HEADERS = ("prediction", "predictions", "predicted", "label", "output")
"""The second value of a header in a file of predictions."""

LARGEST_JSON = 1024 * bounded_files.MIB
"""The largest JSON file of examples or predictions. SQuAD 2.0's training set has 42 MB."""


def read_tsv(
    file: Path,
    *,
    columns: Sequence[str],
    header: Sequence[str] = (),
    skip_short: bool = False,
) -> Iterator[tuple[int, list[str]]]:
    """Read some columns of a tab-separated file.

    A tab always ends a value and a line break always ends a row: a quote is an ordinary character.
    A byte order mark and empty lines are dropped.

    Args:
        file: The file, in UTF-8.
        columns: The names of the columns to read.
        header: The names of all columns, if the first line does not contain them.
        skip_short: Skip a row with too few values, with a warning, instead of raising.

    Yields:
        The number of the line, from 1, and its values in the order of ``columns``.

    Raises:
        UserError: The file is not UTF-8, lacks a column, or a row has too few or too many values.
    """
    lines = ((number, line.split("\t")) for number, line in read_lines(file))
    names = list(header) or next(lines, (1, []))[1]
    places = [_place(column, names, file) for column in columns]
    for number, values in _whole(lines, names, file, skip_short=skip_short):
        yield number, [values[place] for place in places]


def read_pairs(file: Path, *, headers: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """Read a tab-separated file of keys and predictions, in any order.

    A value may be quoted, with quotes doubled inside. A byte order mark, empty lines and a header
    are skipped: a first line that begins with one of ``headers``, or whose second value is one of
    ``VALUE_HEADERS``. A key without a tab has an empty prediction. The file may be in UTF-16 if it
    begins with a byte order mark.

    Yields:
        The place of the line for messages, the key and the prediction.

    Raises:
        UserError: The file is absent, not text or without a tab, or a line has more than two
            values.
    """
    lines = _prediction_lines(file)
    for number, line in enumerate(lines, start=1):
        where = f"{file}:{number}"
        values = [_unquoted(value.strip()) for value in line.split("\t")]
        if number == 1 and (values[0].lower() in headers or values[-1].lower() in VALUE_HEADERS):
            continue
        if len(values) > 2:  # noqa: PLR2004 - a key and a prediction
            raise UserError(f"{where}: {len(values)} values where 2 are expected, split by a tab")
        if values != [""]:
            yield where, values[0], values[1] if len(values) > 1 else ""


def _prediction_lines(file: Path) -> list[str]:
    """Return the lines of a file of predictions, of which at least one has a tab."""
    content = bounded_files.read_bytes(file, limit=LARGEST_JSON)
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{file}:{line}: not UTF-8: save the predictions as UTF-8") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(
            f"{file}:{line}: contains null characters: is it UTF-16? Save the predictions as UTF-8"
        )
    if text.strip() and "\t" not in text:
        raise UserError(
            f"{file}: no line contains a tab: write an id, a tab and a prediction on each line"
        )
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def unique_predictions(
    pairs: Iterator[tuple[str, str, str]],
    *,
    read: Callable[[str, str, str], tuple[str, Prediction]],
) -> dict[str, Prediction]:
    """Return the predictions of a file by their keys.

    Args:
        pairs: The lines of the file, from ``read_pairs``.
        read: Converts the place, the key and the text of a line to a key and a prediction.

    Raises:
        UserError: A key occurs twice.
    """
    found: dict[str, Prediction] = {}
    for where, key, text in pairs:
        name, prediction = read(where, key, text)
        if name in found:
            raise UserError(f"{where}: {key!r} is predicted twice")
        found[name] = prediction
    return found


def read_lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the number of each line, from 1, and the line without its end and byte order mark.

    Raises:
        UserError: The file cannot be read, or is not UTF-8.
    """
    with decoding(file), file.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, start=1):
            yield number, line.rstrip("\n")


@contextmanager
def decoding(file: Path) -> Iterator[None]:
    """Turn errors of reading a text file into a ``UserError`` that names the line."""
    try:
        yield
    except UnicodeDecodeError:
        number = _undecodable_line(file)
        raise UserError(f"{file}:{number}: not UTF-8; is this the official file?") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None


def read_json(file: Path) -> Any:
    """Read a JSON file of examples or predictions.

    Raises:
        UserError: It cannot be read, or is not JSON in UTF-8; the message names the line.
    """
    return bounded_files.read_json(file, limit=LARGEST_JSON)


def read_hub(
    repository: str, configuration: str | None = None, *, revision: str | None, title: str
) -> tuple[DatasetDict, str]:
    """Read all splits of a data set from the Hub, or from the cache of `datasets`.

    Args:
        repository: Its id.
        configuration: One of its configurations, if it has several.
        revision: The revision, or None for the newest.
        title: The name of the task in messages.

    Returns:
        The splits, and the repository with the commit of the revision.

    Raises:
        MissingDataError: The Hub does not respond, or has no such revision.
    """
    import datasets

    try:
        splits = datasets.load_dataset(repository, configuration, revision=revision)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise MissingDataError(
            f"{title}: {repository} could not be read from the Hub ({reason}): give a folder of "
            "the official files with --data or SPARSEBENCH_DATA"
        ) from error
    commit = _commit(next(iter(splits.values()))) or revision or "unknown"
    return splits, f"{repository}@{commit}"


def _whole(
    lines: Iterable[tuple[int, list[str]]], names: Sequence[str], file: Path, *, skip_short: bool
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that have a value for every name."""
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
        raise UserError(f"{file}:1: no column {column!r}{suggestion(column, names)}")
    return list(names).index(column)


def _undecodable_line(file: Path) -> int:
    with file.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1


def _unquoted(value: str) -> str:
    inner = value[1:-1]
    if len(value) > 1 and value[0] == value[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return value


def _commit(rows: Dataset) -> str | None:
    """Find the commit in the addresses of the downloaded files."""
    for address in rows.info.download_checksums or {}:
        if found := re.search(r"@([0-9a-f]{40})/", address):
            return found[1]
    return None
