"""``sparsebench leaderboard``: the leaderboard of a folder of results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sparsebench.api import load_results
from sparsebench.api.console import SafeConsole, activity
from sparsebench.api.experiment import RUNS
from sparsebench.cli import options
from sparsebench.cli.output import Format, read_text, report_written, warn, write_text
from sparsebench.cli.terminal import stdout_reserved
from sparsebench.errors import UserError

FILES = (
    Format.MARKDOWN,
    Format.CSV,
    Format.JSON,
    Format.LATEX,
    Format.HTML,
    Format.SVG,
    Format.PNG,
)
"""The formats of a file."""

FormatOption = Annotated[
    Format | None,
    options.format_option(
        *FILES,
        Format.TABLE,
        default="by default as the file ends, else table on a terminal, else md",
    ),
]
OutputFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write a file instead of printing."),
]
UpdateFile = Annotated[
    Path | None,
    typer.Option("--update", metavar="FILE", help="Replace the block in this Markdown file."),
]
CostOption = Annotated[
    str | None,
    typer.Option(
        "--cost", metavar="NAME", help="The cost that svg and png plot scores against; trainable."
    ),
]


def leaderboard(
    results: options.ResultsFolder = RUNS,
    *,
    format_: FormatOption = None,
    output: OutputFile = None,
    update: UpdateFile = None,
    cost: CostOption = None,
    tasks: options.OnlyTasks = None,
    methods: options.OnlyMethods = None,
) -> None:
    """Show the leaderboard of a folder of results.

    Backbones and protocols are never mixed. A failed or missing run voids the averages that it
    belongs to, and a note gives the reason. Methods that are not significantly different share a
    rank.

    --update writes Markdown between the lines `<!-- sparsebench:leaderboard -->` and
    `<!-- /sparsebench:leaderboard -->` of a file.

    For example:

        sparsebench leaderboard results/reference
        sparsebench leaderboard runs -o leaderboard.html
        sparsebench leaderboard runs --cost latency -o plot.svg
        sparsebench leaderboard runs --update README.md
    """
    chosen = _format(format_, output=output, update=update)
    if cost and chosen not in (Format.SVG, Format.PNG):
        raise UserError("--cost is for svg and png; the HTML page has a plot for every cost")
    with stdout_reserved(), activity("Reading results"):
        board = load_results(results, warn=warn).only(tasks=tasks, methods=methods).leaderboard()
    if chosen is Format.TABLE:
        from sparsebench.leaderboard import TerminalDocument, scores_document

        SafeConsole().print(TerminalDocument(scores_document(board.board)))
    elif update:
        from sparsebench.leaderboard.render.markdown import with_block

        write_text(update, with_block(read_text(update), board.render(chosen)))
    elif output:
        board.save(output, form=chosen, cost=cost)
        report_written(output)
    else:
        sys.stdout.write(board.render(chosen, cost=cost))


def _format(format_: Format | None, *, output: Path | None, update: Path | None) -> Format:
    """Return the format that is asked for, or that the name of the file ends in.

    Raises:
        UserError: The options contradict each other, or the file's name ends in no format.
    """
    if update and (output or format_ not in (None, Format.MARKDOWN)):
        raise UserError("--update writes Markdown into FILE: leave --output and --format out")
    if update:
        return Format.MARKDOWN
    chosen = format_ or _default_format(output)
    if chosen is Format.TABLE and output:
        raise UserError(f"--format table is for a terminal: with --output, use {_ENDINGS}")
    if chosen is Format.PNG and not output:
        raise UserError("--format png requires --output FILE")
    return chosen


def _default_format(output: Path | None) -> Format:
    if output is None:
        return Format.TABLE if sys.stdout.isatty() else Format.MARKDOWN
    ending = output.suffix.lower().removeprefix(".")
    if ending not in FILES:
        raise UserError(f"--output {output}: end it in {_ENDINGS}, or add --format")
    return Format(ending)


_ENDINGS = f"{', '.join(f'.{form}' for form in FILES[:-1])} or .{FILES[-1]}"
