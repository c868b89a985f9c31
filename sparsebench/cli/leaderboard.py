"""``sparsebench leaderboard``: the table of the results in a folder."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sparsebench.cli import folder, options
from sparsebench.errors import UserError


class Format(StrEnum):
    """What a leaderboard is shown as."""

    MARKDOWN = "md"
    """A section a group, with notes."""

    CSV = "csv"
    """Raw numbers, a line a row."""

    JSON = "json"
    """Raw numbers, each seed, every setting."""

    TABLE = "table"
    """For a terminal."""


FormatOption = Annotated[
    Format | None,
    typer.Option(
        "--format", "-f", help="By default as the file ends; else table on a terminal, md off it."
    ),
]
OutputFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write a file rather than print."),
]


def leaderboard(
    results: folder.Results = options.OUTPUT,
    *,
    form: FormatOption = None,
    output: OutputFile = None,
    tasks: folder.Tasks = None,
    methods: folder.Methods = None,
) -> None:
    """Show the leaderboard of a folder of results.

    Backbones and protocols are never mixed. A failed or missing run voids the averages it belongs
    to, and a note says why.
    """
    from sparsebench.leaderboard import FORMATS, TerminalTable

    chosen = form or _default_format(output)
    if chosen is Format.TABLE and output:
        raise UserError("--format table is for a terminal: with --output, say md, csv or json")
    wanted = options.overrides(tasks=tasks, methods=methods)
    table = folder.read_folder(results, wanted=wanted).table()
    if chosen is Format.TABLE:
        Console().print(TerminalTable(table))
    elif output:
        folder.write_text(output, FORMATS[chosen](table))
    else:
        sys.stdout.write(FORMATS[chosen](table))


def _default_format(output: Path | None) -> Format:
    if output is None:
        return Format.TABLE if sys.stdout.isatty() else Format.MARKDOWN
    ending = output.suffix.lower().removeprefix(".")
    if ending not in {"md", "csv", "json"}:
        raise UserError(f"--output {output}: end it in .md, .csv or .json, or say --format")
    return Format(ending)
