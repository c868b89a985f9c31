"""The output of commands: tables, JSON, files, warnings."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text
from tabulate import tabulate

from sparsebench.api.console import SafeConsole, printable
from sparsebench.cli.terminal import prints_any_character
from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from rich.console import Console

NOTHING = "—"
"""Stands in a table for a value that does not exist."""


class Format(StrEnum):
    """The formats of output; each command offers some of them."""

    TABLE = "table"
    """For a terminal."""

    MARKDOWN = "md"
    """Markdown tables with notes."""

    CSV = "csv"
    """Raw numbers, a line for each row."""

    JSON = "json"
    """Raw numbers, everything that is known."""

    LATEX = "tex"
    """A booktabs table for each group."""

    HTML = "html"
    """One page that opens offline, with sorting, filters and plots."""

    SVG = "svg"
    """A plot of scores against a cost."""

    PNG = "png"
    """The same plot as pixels; requires the extra 'png'."""

    PARQUET = "parquet"
    """A flat table with a row for each run."""

    MODEL_CARD = "model-card"
    """The evaluation block of a Hugging Face model card."""


def plain_console() -> SafeConsole:
    """Return a console that prints long lines whole."""
    return SafeConsole(soft_wrap=True)


def print_table(console: Console, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under headings; off a terminal, one line for each row, however long."""
    if not console.is_terminal:
        text = tabulate(list(rows), headers=list(columns), tablefmt="plain", disable_numparse=True)
        console.print(text, soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def print_json(content: Any) -> None:
    """Print JSON; characters that steer a terminal, or that it lacks, are escaped."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    if not prints_any_character() or printable(text) != text:
        text = json.dumps(content, indent=2)
    sys.stdout.write(text + "\n")


def warn(message: str) -> None:
    """Print a warning to the error stream."""
    SafeConsole(stderr=True, soft_wrap=True).print(f"warning: {message}", style="yellow")


def write_text(file: Path, text: str) -> None:
    """Write a text file, and report it.

    Raises:
        UserError: It cannot be written.
    """
    try:
        file.write_bytes(text.encode())
    except OSError as error:
        raise UserError(f"{file}: cannot be written ({error.strerror})") from error
    report_written(file)


def report_written(file: Path) -> None:
    """Report on the error stream that a file was written."""
    SafeConsole(stderr=True, soft_wrap=True).print(f"Wrote {file}")


def read_text(file: Path) -> str:
    """Read a file, its line endings unchanged.

    Raises:
        UserError: It cannot be read.
    """
    try:
        return file.read_bytes().decode()
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"{file}: cannot be read ({error})") from error
