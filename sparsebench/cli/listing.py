"""``sparsebench list``: everything that is installed, broken plugins included."""

from __future__ import annotations

import inspect
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparsebench.api.console import SafeConsole, activity
from sparsebench.cli import options
from sparsebench.cli.matrix import matrix_rows, print_matrix
from sparsebench.cli.output import Format, print_json, print_table
from sparsebench.cli.terminal import stdout_reserved
from sparsebench.errors import UserError
from sparsebench.registry import unknown_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from sparsebench.registry import Registry

Row = dict[str, str | None]
"""Column -> value. Every row has a ``name``, and an ``error`` if it cannot be used."""


class What(StrEnum):
    """The kinds of things that can be listed."""

    METHODS = "methods"
    TASKS = "tasks"
    MODELS = "models"
    SUITES = "suites"
    EXECUTORS = "executors"
    RUNTIMES = "runtimes"
    SECTIONS = "sections"


def list_(
    what: Annotated[
        What,
        typer.Argument(
            metavar="WHAT",
            parser=options.one_of(tuple(What), kind="thing to list"),
            help=f"What to list: {', '.join(What)}.",
        ),
    ],
    *,
    matrix: Annotated[
        bool,
        typer.Option(
            "--matrix", help="Show for which families and tasks each method works, and why not."
        ),
    ] = False,
    format_: Annotated[Format, options.format_option(Format.TABLE, Format.JSON)] = Format.TABLE,
) -> None:
    """List what is installed; a plugin that cannot be used is a row with its error.

    Nothing is downloaded.

    For example:

        sparsebench list methods
        sparsebench list methods --matrix
        sparsebench list suites --format json
    """
    if matrix and what is not What.METHODS:
        raise UserError("--matrix is for methods: sparsebench list methods --matrix")
    with stdout_reserved(), activity(f"Reading {what}"):
        rows = matrix_rows() if matrix else list(_LISTS[what]())
    for message in unknown_groups():
        SafeConsole(stderr=True, soft_wrap=True).print(f"note: {message}")
    if format_ is Format.JSON:
        print_json(rows)
        return
    console = SafeConsole()
    if matrix:
        print_matrix(console, rows)
        return
    _print(console, rows)
    if what is What.MODELS:
        from sparsebench.models import FAMILIES

        console.print(f"Also every folder or Hub id of the families {', '.join(FAMILIES)}.")


def _print(console: Console, rows: list[Row]) -> None:
    columns = [
        name for name in dict.fromkeys(key for row in rows for key in row) if name != "error"
    ]
    last = columns[-1] if columns else "name"
    cells = (
        {**row, last: f"cannot be used: {row['error']}"} if row.get("error") else row
        for row in rows
    )
    print_table(console, columns, [[row.get(name) or "" for name in columns] for row in cells])


def _methods() -> Iterator[Row]:
    from sparsebench.method_registry import METHODS

    return _registered(
        METHODS,
        lambda method: {
            "paper": method.paper,
            "version": method.version,
            "summary": docstring(method).partition("\n")[0],
        },
    )


def _tasks() -> Iterator[Row]:
    from sparsebench.tasks import TASKS

    return _registered(
        TASKS,
        lambda task: {
            "group": task.group,
            "forms": ", ".join(task.forms),
            "summary": task.description,
        },
    )


def _executors() -> Iterator[Row]:
    from sparsebench.execution.executors import EXECUTORS

    return _registered(
        EXECUTORS, lambda executor: {"summary": docstring(executor).partition("\n")[0]}
    )


def _runtimes() -> Iterator[Row]:
    from sparsebench.profiling.runtimes import RUNTIMES

    return _registered(RUNTIMES, lambda runtime: {"summary": docstring(runtime).partition("\n")[0]})


def _registered(registry: Registry[Any], describe: Callable[[Any], Row]) -> Iterator[Row]:
    for name, entry in registry.entries.items():
        row: Row = {"name": name, "package": entry.package}
        error = entry.error
        yield {**row, **({} if error else describe(entry.load())), "error": error}


def _models() -> Iterator[Row]:
    from sparsebench.models import ARCHITECTURES
    from sparsebench.models.sources import quick_backbones

    for spec in quick_backbones():
        family = spec.removeprefix("quick/")
        yield {"name": spec, "family": family, "summary": "tiny, pretrained on the toy language"}
    for name, (family, _) in ARCHITECTURES.items():
        yield {"name": f"random:{name}", "family": family, "summary": "random weights, for costs"}


def _suites() -> Iterator[Row]:
    from sparsebench.suite import cells
    from sparsebench.suite.files import read_suite, suites

    for name, path in suites().items():
        suite_file = read_suite(path)
        suite, errors = suite_file.suite, "; ".join(map(str, suite_file.problems))
        runs = str(sum(1 for _ in cells(suite)))
        row: Row = {"name": name, "runs": runs, "summary": suite.description}
        yield {**row, "path": str(path), "error": errors or None}


def _sections() -> Iterator[Row]:
    from sparsebench.suite import SECTIONS

    for name, model in SECTIONS.items():
        yield {"name": name, "summary": docstring(model).partition("\n")[0]}


_LISTS: dict[What, Callable[[], Iterator[Row]]] = {
    What.METHODS: _methods,
    What.TASKS: _tasks,
    What.MODELS: _models,
    What.SUITES: _suites,
    What.EXECUTORS: _executors,
    What.RUNTIMES: _runtimes,
    What.SECTIONS: _sections,
}


def docstring(thing: object) -> str:
    """Return the own docstring of a thing, without the marks of code."""
    return inspect.cleandoc(vars(thing).get("__doc__") or "").replace("``", "")
