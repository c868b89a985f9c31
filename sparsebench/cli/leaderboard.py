"""``sparsebench leaderboard``: the table of the results in a folder."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sparsebench.cli import options
from sparsebench.errors import UnknownNameError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sparsebench.results.schema import RunResult


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


Results = Annotated[
    Path, typer.Argument(metavar="RESULTS", help="A folder that 'run' has written results to.")
]
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

Tasks = Annotated[str | None, typer.Option("--tasks", metavar="A,B", help="Only these tasks.")]
Methods = Annotated[
    str | None, typer.Option("--methods", metavar="A,B", help="Only these methods, by label.")
]


def leaderboard(
    results: Results = options.OUTPUT,
    *,
    form: FormatOption = None,
    output: OutputFile = None,
    tasks: Tasks = None,
    methods: Methods = None,
) -> None:
    """Show the leaderboard of a folder of results.

    Backbones and protocols are never mixed. A failed or missing run voids the averages it belongs
    to, and a note says why.
    """
    from sparsebench.leaderboard import FORMATS, TerminalTable, build

    chosen = form or _default_format(output)
    if chosen is Format.TABLE and output:
        raise UserError("--format table is for a terminal: with --output, say md, csv or json")
    wanted = options.overrides(tasks=tasks, methods=methods)
    found, unreadable = _read(results)
    found = _only(found, wanted.tasks, kind="task", name=lambda result: result.spec.task)
    found = _only(found, wanted.methods, kind="method", name=lambda r: r.spec.method.label)
    table = build(found, unreadable=unreadable)
    if chosen is Format.TABLE:
        Console().print(TerminalTable(table))
    elif output:
        _write(output, FORMATS[chosen](table))
    else:
        sys.stdout.write(FORMATS[chosen](table))


def _default_format(output: Path | None) -> Format:
    if output is None:
        return Format.TABLE if sys.stdout.isatty() else Format.MARKDOWN
    ending = output.suffix.lower().removeprefix(".")
    if ending not in {"md", "csv", "json"}:
        raise UserError(f"--output {output}: end it in .md, .csv or .json, or say --format")
    return Format(ending)


def _read(folder: Path) -> tuple[list[RunResult], list[str]]:
    """Reads the results that can be read, and says why the others cannot.

    Raises:
        UserError: There is none that can.
    """
    from sparsebench.results.store import CorruptResultError, Store, read_result

    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; 'sparsebench run --output {folder}' makes one")
    files = Store(folder).files()
    found, unreadable = [], []
    for file in files:
        try:
            found.append(read_result(file))
        except CorruptResultError as error:
            unreadable.append(str(error).removeprefix(f"{folder}/"))
            warning = Console(stderr=True, soft_wrap=True)
            warning.print(f"warning: left out: {error}", style="yellow", markup=False)
    if not files:
        raise UserError(f"{folder}: there are no results in it{_elsewhere(folder)}")
    if not found:
        raise UserError(f"{folder}: none of its {len(files)} results can be read")
    return found, unreadable


def _elsewhere(folder: Path) -> str:
    from sparsebench.results.store import RESULT

    below = sorted({file.parents[1] for file in folder.glob(f"[!.]*/*/{RESULT}")})
    return f"; there are some in {', '.join(map(str, below[:3]))}" if below else ""


def _only(
    results: list[RunResult],
    names: Collection[str] | None,
    *,
    kind: str,
    name: Callable[[RunResult], str],
) -> list[RunResult]:
    """Returns the results of the named tasks or methods, or all where none is named.

    Raises:
        UnknownNameError: There is no result of a name.
    """
    if names is None:
        return results
    known = {name(result) for result in results}
    for wanted in names:
        if wanted not in known:
            raise UnknownNameError(kind, wanted, known=known, where=f"--{kind}s")
    return [result for result in results if name(result) in names]


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file}: cannot be written ({error.strerror})") from error
    Console(stderr=True, soft_wrap=True).print(f"Wrote {file}", markup=False)
