"""The arguments that ``run``, ``plan`` and ``validate`` share, and the suite that they select."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from sparsebench.errors import UnknownNameError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from sparsebench.execution.plan import PlannedRun
    from sparsebench.results.store import Store
    from sparsebench.suite import Suite
    from sparsebench.suite.overrides import Overrides
    from sparsebench.tasks import DataSource

E = TypeVar("E", bound=StrEnum)

OUTPUT = Path("runs")
"""The results folder, where none is named."""

_SELECT = "What to run"

SuiteArgument = Annotated[
    str, typer.Argument(metavar="SUITE", help="A YAML file, or a suite that 'list suites' shows.")
]
Methods = Annotated[
    str | None,
    typer.Option(
        "--methods",
        metavar="A,B",
        help="Only these: labels of the suite with their settings, other methods with defaults.",
        rich_help_panel=_SELECT,
    ),
]
Models = Annotated[
    str | None,
    typer.Option(
        "--models",
        metavar="A,B",
        help="These backbones: Hub ids, folders, quick/FAMILY.",
        rich_help_panel=_SELECT,
    ),
]
Tasks = Annotated[
    str | None,
    typer.Option("--tasks", metavar="A,B", help="Only these tasks.", rich_help_panel=_SELECT),
]
Seeds = Annotated[
    str | None,
    typer.Option("--seeds", metavar="1,2", help="These seeds.", rich_help_panel=_SELECT),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a setting, such as lora.r=16 or training.batch_size=64; may be repeated.",
        rich_help_panel=_SELECT,
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        "--budget",
        metavar="TEXT",
        help="The budget of every run, such as '230 steps' or '3 epochs'.",
        rich_help_panel=_SELECT,
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        envvar="SPARSEBENCH_DATA",
        exists=True,
        file_okay=False,
        help="A folder with the data in the official formats; without it, the Hub.",
    ),
]
To = Annotated[
    Path, typer.Option("--to", metavar="DIR", file_okay=False, help="The folder to make.")
]
Offline = Annotated[
    Path | None,
    typer.Option(
        "--offline",
        metavar="DIR",
        file_okay=False,
        help="A bundle that 'fetch' made; no connection is made to any machine.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="DIR", file_okay=False, help=f"The results folder; '{OUTPUT}'."
    ),
]

_WHERE = "Where to run"

TimeLimit = Annotated[
    str | None,
    typer.Option(
        "--time-limit",
        metavar="TIME",
        help="The longest a run may take, in seconds or as '2 h'; then it is a row 'timeout'.",
        rich_help_panel=_WHERE,
    ),
]
MemoryLimit = Annotated[
    str | None,
    typer.Option(
        "--memory-limit",
        metavar="SIZE",
        help="The most memory a run may ask for, such as '4 GiB'; then it is a row 'oom'.",
        rich_help_panel=_WHERE,
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=_WHERE)]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Runs at a time; 1 on this machine.", rich_help_panel=_WHERE),
]
ExecutorName = Annotated[
    str, typer.Option("--executor", help="An installed executor.", rich_help_panel=_WHERE)
]
ExecutorOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--executor-option",
        "-x",
        metavar="KEY=VALUE",
        help="An option of the executor, such as address=auto; may be repeated.",
        rich_help_panel=_WHERE,
    ),
]


@dataclass(frozen=True)
class Selected:
    """A sound suite, where its data comes from, and where its results are kept."""

    suite: Suite
    data: DataSource
    store: Store

    def plan(
        self,
        console: Console,
        *,
        retry_failed: bool = False,
        fresh: bool = False,
        keep_models: bool = False,
        command: str = "",
    ) -> list[PlannedRun]:
        """Returns every run of the suite, with what is to be done about it."""
        from sparsebench.execution.plan import RerunPolicy, plan

        with console.status("Reading backbones and data"):
            return plan(
                self.suite,
                store=self.store,
                data=self.data,
                rerun=RerunPolicy(failed=retry_failed, fresh=fresh),
                keep_model=keep_models,
                command=command,
            )


def selected(
    suite: str,
    *,
    methods: str | None,
    models: str | None,
    tasks: str | None,
    seeds: str | None,
    sets: list[str] | None,
    budget: str | None,
    data: Path | None,
    output: Path | None,
    time_limit: str | None = None,
    memory_limit: str | None = None,
) -> Selected:
    """Returns what the command line asks for.

    Raises:
        UserError: Anything is wrong with the suite or the arguments; a line for every mistake.
    """
    from sparsebench.errors.problems import raise_errors
    from sparsebench.results.store import Store
    from sparsebench.suite.files import find_suite, read_suite
    from sparsebench.suite.validation import problems
    from sparsebench.tasks import DataSource

    changes = overrides(
        methods=methods, models=models, tasks=tasks, seeds=seeds, sets=sets, budget=budget
    )
    limits = {"time": time_limit, "memory": memory_limit}
    given = {key: value for key, value in limits.items() if value is not None}
    suite_file = read_suite(find_suite(suite), replace(changes, limits=given))
    raise_errors(problems(suite_file))
    if not suite_file.suite.tasks:
        raise UserError(
            f"{suite_file.path}: it has no tasks, only costs: 'sparsebench profile {suite}'"
        )
    source = DataSource(folder=data, revision=suite_file.suite.revision)
    return Selected(suite_file.suite, source, Store(output or OUTPUT))


def one_of(choices: type[E], *, kind: str) -> Callable[[str], E]:
    """Returns what reads one of several words; of any other it says the nearest that is known.

    Args:
        choices: The words.
        kind: What they are, in the singular, such as ``"format"``.
    """

    def read(text: str) -> E:
        if text not in list(choices):
            raise UnknownNameError(kind, text, known=[choice.value for choice in choices])
        return choices(text)

    return read


def format_option(choices: type[E], *flags: str, text: str) -> Any:
    """Returns the option that says how to print something.

    Args:
        choices: The formats.
        flags: What the option is called.
        text: Its help.
    """
    read = one_of(choices, kind="format")
    return typer.Option(*flags, metavar="FORMAT", parser=read, help=text)


def command_line() -> str:
    """Returns the command as the user typed it, for the record."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def overrides(
    *,
    methods: str | None = None,
    models: str | None = None,
    tasks: str | None = None,
    seeds: str | None = None,
    sets: list[str] | None = None,
    budget: str | None = None,
) -> Overrides:
    """Reads the options that change a suite.

    Raises:
        UserError: A list is empty, or a seed is no whole number.
    """
    from sparsebench.suite.overrides import Overrides

    return Overrides(
        methods=_names("--methods", methods),
        models=_names("--models", models),
        tasks=_names("--tasks", tasks),
        seeds=_seeds(seeds),
        sets=tuple(sets or ()),
        budget=budget,
    )


def words(option: str, text: str | None) -> list[str] | None:
    """Reads the words of an option, with commas between them; None where it is left out.

    Raises:
        UserError: There is none.
    """
    if text is None:
        return None
    found = [word.strip() for word in text.split(",") if word.strip()]
    if not found:
        raise UserError(f"{option}: name at least one, or leave the option out")
    return found


def _names(option: str, text: str | None) -> tuple[str, ...] | None:
    found = words(option, text)
    return None if found is None else tuple(dict.fromkeys(found))


def _seeds(text: str | None) -> tuple[int, ...] | None:
    names = _names("--seeds", text)
    if names is None:
        return None
    for name in names:
        if not name.isdecimal():
            raise UserError(f"--seeds: {name!r} is no whole number; write them as 1,2,3")
    return tuple(map(int, names))
