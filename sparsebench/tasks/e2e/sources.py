"""The two places that the examples of the E2E challenge come from: its CSV files and the Hub."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, TypeAlias

from sparsebench.errors import UserError
from sparsebench.tasks.base import MissingDataError
from sparsebench.tasks.files import decoding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from datasets import Dataset

HUB = "tuetschek/e2e_nlg"
PARQUET = "refs/convert/parquet"
"""The revision of the Hub that holds the data itself; the main one holds a script."""

FILES = {"train": "trainset.csv", "validation": "devset.csv", "test": "testset_w_refs.csv"}
"""Split -> official file."""

RawRow: TypeAlias = "tuple[str, str, str]"
"""Where a row is, for messages; its meaning representation; its text."""


def find_file(folder: Path, split: str) -> Path:
    """Returns the official file of a split in a folder, or in a folder ``e2e`` of it.

    Raises:
        MissingDataError: It is not there.
    """
    for place in (folder, folder / "e2e"):
        if (place / FILES[split]).is_file():
            return place / FILES[split]
    raise MissingDataError(
        f"E2E NLG: there is no {folder / FILES[split]}: put the official file there, or give no "
        f"data folder, to read {HUB} from the Hub"
    )


def file_rows(file: Path) -> Iterator[RawRow]:
    """Yields the rows of an official file; a value may hold a line break inside quotes.

    Raises:
        UserError: It is no CSV in UTF-8 with the columns ``mr`` and ``ref``; with the line.
    """
    with decoding(file), file.open(encoding="utf-8-sig", newline="") as stream:
        yield from _rows(file, csv.reader(stream, strict=True))


def hub_rows(rows: Dataset, *, where: str) -> Iterator[RawRow]:
    """Yields the rows of a split of the Hub."""
    pairs = zip(rows["meaning_representation"], rows["human_reference"], strict=True)
    for place, (mr, text) in enumerate(pairs):
        yield f"{where}[{place}]", mr, text


def _rows(file: Path, reader: Iterator[list[str]]) -> Iterator[RawRow]:
    line = 1
    try:
        for values in reader:
            where, line = f"{file}:{line}", reader.line_num + 1  # type: ignore[attr-defined]
            if where.endswith(":1"):
                if values != ["mr", "ref"]:
                    raise UserError(f"{where}: the columns should be mr and ref, not {values}")
            elif len(values) == 2:  # noqa: PLR2004 - mr and ref
                yield where, values[0], values[1]
            elif values:
                raise UserError(f"{where}: {len(values)} values where 2 are expected (mr, ref)")
    except csv.Error as error:
        raise UserError(f"{file}:{line}: not CSV: {error}") from None
