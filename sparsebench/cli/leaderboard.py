"""``sparsebench leaderboard``: the table of the results in a folder."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sparsebench.cli import folder, options
from sparsebench.errors import UnknownNameError, UserError

if TYPE_CHECKING:
    from sparsebench.leaderboard.costs import Cost


class Format(StrEnum):
    """What a leaderboard is shown as."""

    MARKDOWN = "md"
    """A section a group, with notes."""

    CSV = "csv"
    """Raw numbers, a line a row."""

    JSON = "json"
    """Raw numbers, each seed, every setting."""

    LATEX = "tex"
    """A booktabs table a group."""

    HTML = "html"
    """One page that opens offline, with sorting, filters and plots."""

    SVG = "svg"
    """The plot of scores against a cost."""

    PNG = "png"
    """The same as pixels; takes the extra 'png'."""

    TABLE = "table"
    """For a terminal."""


FormatOption = Annotated[
    Format | None,
    options.format_option(
        Format,
        "--format",
        "-f",
        text=f"{', '.join(Format)}; by default as the file ends, else table on a terminal, or md.",
    ),
]
OutputFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write a file rather than print."),
]


UpdateFile = Annotated[
    Path | None,
    typer.Option("--update", metavar="FILE", help="Replace the block in this Markdown file."),
]
CostOption = Annotated[
    str | None,
    typer.Option("--cost", metavar="NAME", help="What svg and png draw scores against; trainable."),
]


def leaderboard(
    results: folder.Results = options.OUTPUT,
    *,
    form: FormatOption = None,
    output: OutputFile = None,
    update: UpdateFile = None,
    cost: CostOption = None,
    tasks: folder.Tasks = None,
    methods: folder.Methods = None,
) -> None:
    """Show the leaderboard of a folder of results.

    Backbones and protocols are never mixed. A failed or missing run voids the averages it belongs
    to, and a note says why. Methods that these results cannot separate share a rank.

    --update writes Markdown between the lines `<!-- sparsebench:leaderboard -->` and
    `<!-- /sparsebench:leaderboard -->` of a file.
    """
    from sparsebench.leaderboard import FORMATS, TerminalTable, plot

    chosen = _format(form, output=output, update=update)
    axis = _cost(cost, chosen)
    wanted = options.overrides(tasks=tasks, methods=methods)
    table = folder.read_folder(results, wanted=wanted).table()
    if chosen is Format.TABLE:
        Console().print(TerminalTable(table))
    elif chosen is Format.PNG and output:
        from sparsebench.leaderboard.plot.png import render_png

        folder.write_bytes(output, render_png(table, cost=axis))
    else:
        text = plot.render(table, cost=axis) if chosen is Format.SVG else FORMATS[chosen](table)
        _deliver(text, output=output, update=update)


def _deliver(text: str, *, output: Path | None, update: Path | None) -> None:
    if update:
        from sparsebench.leaderboard.block import with_block

        folder.write_text(update, with_block(folder.read_text(update), text))
    elif output:
        folder.write_text(output, text)
    else:
        sys.stdout.write(text)


def _format(form: Format | None, *, output: Path | None, update: Path | None) -> Format:
    """Returns the format that was asked for, or that the file is named for.

    Raises:
        UserError: The options contradict each other, or the file's name says nothing.
    """
    if update and (output or form not in (None, Format.MARKDOWN)):
        raise UserError("--update writes Markdown into FILE: leave --output and --format out")
    if update:
        return Format.MARKDOWN
    chosen = form or _default_format(output)
    if chosen is Format.TABLE and output:
        raise UserError(f"--format table is for a terminal: with --output, say {_FILES}")
    if chosen is Format.PNG and not output:
        raise UserError("--format png takes --output FILE")
    return chosen


def _default_format(output: Path | None) -> Format:
    if output is None:
        return Format.TABLE if sys.stdout.isatty() else Format.MARKDOWN
    ending = output.suffix.lower().removeprefix(".")
    if ending not in set(Format) - {Format.TABLE}:
        raise UserError(f"--output {output}: end it in {_FILES}, or say --format")
    return Format(ending)


_FILES = ".md, .csv, .json, .tex, .html, .svg or .png"


def _cost(name: str | None, form: Format) -> Cost:
    """Returns the cost that a plot is drawn against.

    Raises:
        UserError: There is no plot to draw.
        UnknownNameError: No such cost.
    """
    from sparsebench.leaderboard.costs import COSTS

    if name and form not in (Format.SVG, Format.PNG):
        raise UserError("--cost is for svg and png; the HTML page has a plot for every cost")
    by_name = {cost.name: cost for cost in COSTS}
    if name and name not in by_name:
        raise UnknownNameError("cost", name, known=by_name, where="--cost")
    return by_name[name] if name else COSTS[0]
