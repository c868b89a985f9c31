"""The options that commands share, each written once, and the groups that come together."""

from __future__ import annotations

import inspect
import shlex
import sys
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from sparsebench.api import overrides
from sparsebench.api.experiment import RUNS, Experiment
from sparsebench.api.overrides import names
from sparsebench.cli.output import Format
from sparsebench.errors import UnknownNameError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sparsebench.execution.executors import Executor
    from sparsebench.suite.overrides import Overrides

E = TypeVar("E", bound=StrEnum)

_SELECT = "What to run"
_WHERE = "Where to run"


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Replace each parameter that is a group of options, a dataclass, by the options of the group.

    Args:
        command: A command; it is called with the groups.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, type[Any]] = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if isinstance(parameter.annotation, type) and is_dataclass(parameter.annotation)
    }
    options: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        if name not in groups:
            options.append(parameter)
            continue
        members = inspect.signature(groups[name], eval_str=True).parameters.values()
        options += [member.replace(kind=inspect.Parameter.KEYWORD_ONLY) for member in members]

    @wraps(command)
    def call(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        command(**given)

    keyword_only = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in options]
    call.__signature__ = signature.replace(parameters=keyword_only)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in options}
    return call


Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a setting, such as lora.r=16 or training.batch_size=64; may be repeated.",
        rich_help_panel=_SELECT,
    ),
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
DeviceName = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=_WHERE)]


@dataclass(frozen=True, kw_only=True)
class SuiteOptions:
    """A suite, and the changes to it that every command on a suite understands."""

    suite: Annotated[
        str,
        typer.Argument(metavar="SUITE", help="A YAML file, or a suite that 'list suites' shows."),
    ]
    methods: Methods = None
    models: Models = None
    sets: Sets = None
    data: Data = None

    @property
    def overrides(self) -> Overrides:
        """The changes to the suite.

        Raises:
            UserError: A list is empty, or a seed is no whole number.
        """
        return overrides(methods=self.methods, models=self.models, settings=self.sets)

    def load(
        self,
        output: Path = RUNS,
        *,
        time_limit: str | None = None,
        memory_limit: str | None = None,
    ) -> Experiment:
        """Load the suite, with its data and results folder.

        Raises:
            UserError: The suite or an option is wrong; a line for every mistake.
        """
        return Experiment.load(
            self.suite,
            self.overrides,
            data=self.data,
            output=output,
            time_limit=time_limit,
            memory_limit=memory_limit,
        )


@dataclass(frozen=True, kw_only=True)
class RunOptions(SuiteOptions):
    """A suite, and the changes to it that decide which runs it consists of."""

    tasks: Annotated[
        str | None,
        typer.Option("--tasks", metavar="A,B", help="Only these tasks.", rich_help_panel=_SELECT),
    ] = None
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", metavar="1,2", help="These seeds.", rich_help_panel=_SELECT),
    ] = None
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            metavar="TEXT",
            help="The budget of every run, such as '230 steps' or '3 epochs'.",
            rich_help_panel=_SELECT,
        ),
    ] = None

    @property
    def overrides(self) -> Overrides:
        """The changes to the suite.

        Raises:
            UserError: A list is empty, or a seed is no whole number.
        """
        return overrides(
            methods=self.methods,
            models=self.models,
            tasks=self.tasks,
            seeds=self.seeds,
            settings=self.sets,
            budget=self.budget,
        )


@dataclass(frozen=True, kw_only=True)
class ExecutorOptions:
    """Where runs run."""

    executor: Annotated[
        str,
        typer.Option("--executor", help="An installed executor.", rich_help_panel=_WHERE),
    ] = "local"
    executor_options: Annotated[
        list[str] | None,
        typer.Option(
            "--executor-option",
            "-x",
            metavar="KEY=VALUE",
            help="An option of the executor, such as address=auto; may be repeated.",
            rich_help_panel=_WHERE,
        ),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Runs at a time; on a CPU by default one a core.", rich_help_panel=_WHERE
        ),
    ] = None
    device: DeviceName = "auto"

    def open(self) -> Executor:
        """Return the executor.

        Raises:
            UserError: There is none of the name, an option is wrong, or a package is missing.
        """
        from sparsebench.execution.executors import EXECUTORS
        from sparsebench.suite.yamlfile import parse

        options: dict[str, object] = {}
        for text in self.executor_options or ():
            key, equals, value = text.partition("=")
            if not equals:
                raise UserError(f"--executor-option {text}: write it as KEY=VALUE")
            options[key.strip()] = parse(value, name=f"--executor-option {text}").data
        executor = EXECUTORS.get(self.executor, where="--executor")
        return executor(workers=self.workers, device=self.device, options=options)


Output = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="DIR", file_okay=False, help="The results folder."),
]
ResultsFolder = Annotated[
    Path, typer.Argument(metavar="RESULTS", help="A folder of results that 'run' has written.")
]
OnlyTasks = Annotated[str | None, typer.Option("--tasks", metavar="A,B", help="Only these tasks.")]
OnlyMethods = Annotated[
    str | None, typer.Option("--methods", metavar="A,B", help="Only these methods, by label.")
]


def one_of(choices: Sequence[E], *, kind: str) -> Callable[[str], E]:
    """Return a parser of one of several words; for any other, it names the nearest.

    Args:
        choices: The words.
        kind: What they are, in the singular, such as ``"format"``.
    """

    def read(text: str) -> E:
        by_text = {choice.value: choice for choice in choices}
        if text not in by_text:
            raise UnknownNameError(kind, text, known=by_text)
        return by_text[text]

    return read


def format_option(*choices: Format, default: str = "") -> Any:
    """Return the option ``--format``.

    Args:
        choices: The formats of the command.
        default: What the default depends on, for the help.
    """
    text = f"{', '.join(choices[:-1])} or {choices[-1]}"
    return typer.Option(
        "--format",
        "-f",
        metavar="FORMAT",
        parser=one_of(choices, kind="format"),
        help=f"{text}; {default}." if default else f"{text}.",
    )


def words(option: str, text: str | None) -> list[str] | None:
    """Read the words of an option, separated by commas; None if it is left out.

    Raises:
        UserError: There is none.
    """
    found = names(option, text)
    return None if found is None else list(found)


def command_line() -> str:
    """Return the command as the user typed it, for the record."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
