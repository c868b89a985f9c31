"""``sparsebench profile``: costs without training, and of deployed folders."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from sparsebench.cli import options
from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsebench.execution.profile_runs.session import ProfileSession
    from sparsebench.results.profiles import BreakEvens, ProfileResult
    from sparsebench.schema.measuring import ProfileSettings
    from sparsebench.suite import Suite

FAILED = 1
"""Exit code where something could not be measured that should have been, or nothing at all."""

_SHAPES = "Under what conditions"
_MEASURES = "What to measure"


class Format(StrEnum):
    """What a table of costs is shown as."""

    TABLE = "table"
    """For a terminal."""

    MARKDOWN = "md"
    """A section for each backbone and device, with notes."""

    CSV = "csv"
    """Raw numbers, a line for each row and runtime."""

    JSON = "json"
    """Every record in full, raw samples included."""


def _option(text: str, panel: str, metavar: str = "A,B") -> Any:
    return typer.Option(metavar=metavar, help=text, rich_help_panel=panel)


Targets = Annotated[
    list[str] | None,
    typer.Argument(metavar="SUITE | DEPLOYED", help="A suite, or folders of deployed models."),
]
FormatOption = Annotated[
    Format | None,
    options.format_option(
        Format,
        "--format",
        "-f",
        text="table, md, csv or json; by default table on a terminal, md off it.",
    ),
]
StoreFolder = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        file_okay=False,
        help="Keep every row here; what is there is not measured again. "
        "Rows of a deployed folder are kept in 'costs' beside its result.",
    ),
]


def profile(
    targets: Targets = None,
    *,
    models: options.Models = None,
    methods: options.Methods = None,
    sets: options.Sets = None,
    devices: Annotated[
        str | None, _option("cpu, cuda, cuda:N; meta for arithmetic alone; auto.", _SHAPES)
    ] = None,
    dtypes: Annotated[str | None, _option("float32, bfloat16, float16.", _SHAPES)] = None,
    batch_sizes: Annotated[str | None, _option("Sequences.", _SHAPES, "1,8")] = None,
    lengths: Annotated[str | None, _option("Input tokens.", _SHAPES, "128")] = None,
    target_length: Annotated[int | None, _option("Decoder tokens.", _SHAPES, "N")] = None,
    attention: Annotated[str | None, _option("sdpa or eager.", _SHAPES, "KIND")] = None,
    form: Annotated[
        str | None, _option("classification, span, text-to-text, language-model.", _SHAPES, "FORM")
    ] = None,
    threads: Annotated[int | None, _option("Threads on a CPU.", _SHAPES, "N")] = None,
    runtimes: Annotated[str | None, _option("Runtimes besides dense.", _MEASURES)] = None,
    generate: Annotated[int | None, _option("Tokens to generate.", _MEASURES, "N")] = None,
    break_even: Annotated[
        bool,
        typer.Option(
            "--break-even",
            help="From which share of zeros each runtime gains.",
            rich_help_panel=_MEASURES,
        ),
    ] = False,
    training_memory: Annotated[
        bool,
        typer.Option(
            "--training-memory", help="Peak memory of a training step.", rich_help_panel=_MEASURES
        ),
    ] = False,
    format_: FormatOption = None,
    output: StoreFolder = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure every row again.")] = False,
) -> None:
    """Measure what methods cost, on untrained backbones or in deployed folders.

    Untrained, masks and removals are as at the end of a run. What cannot be measured is a row or a
    note with its reason, and the rest goes on.
    """
    given = {
        "devices": options.words("--devices", devices),
        "dtypes": options.words("--dtypes", dtypes),
        "batch_sizes": _numbers("--batch-sizes", batch_sizes),
        "lengths": _numbers("--lengths", lengths),
        "target_length": target_length,
        "attention": attention,
        "form": form,
        "threads": threads,
        "runtimes": options.words("--runtimes", runtimes),
        "generate": generate,
        "break_even": break_even or None,
        "training_memory": training_memory or None,
    }
    asked = _Asked(
        targets=tuple(targets or ()),
        settings={key: value for key, value in given.items() if value is not None},
        models=models,
        methods=methods,
        sets=sets,
        output=output,
        fresh=fresh,
    )
    results, evens = _folders(asked) if asked.folders else _methods(asked)
    _print(results, evens, format_)
    outcomes = {result.status for result in results}
    if "error" in outcomes or outcomes == {"skipped"}:
        raise typer.Exit(FAILED)


@dataclass(frozen=True)
class _Asked:
    """What the command line says."""

    targets: tuple[str, ...]
    settings: dict[str, object]
    models: str | None
    methods: str | None
    sets: list[str] | None
    output: Path | None
    fresh: bool

    @property
    def folders(self) -> list[Path]:
        """The deployed folders that are named, or the folders of their runs."""
        return [path for target in self.targets if (path := Path(target)).is_dir()]

    def session(
        self, settings: ProfileSettings, store: Path | None, console: Console
    ) -> ProfileSession:
        """Returns how a table is made."""
        from sparsebench.execution.profile_runs.session import ProfileSession
        from sparsebench.results.profiles import ProfileStore

        return ProfileSession(
            settings=settings,
            store=ProfileStore(store),
            fresh=self.fresh,
            command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
            report=lambda title: console.print(title, style="dim", markup=False),
        )


def _folders(asked: _Asked) -> tuple[list[ProfileResult], list[BreakEvens]]:
    """Measures deployed folders."""
    from sparsebench.execution.profile_runs.conditions import complete_settings
    from sparsebench.execution.profile_runs.profiled_models import deployed_model
    from sparsebench.suite.files import profile_settings

    if len(asked.folders) < len(asked.targets) or asked.models or asked.methods:
        raise UserError("name deployed folders, or else a suite or --models: not both")
    settings = complete_settings(profile_settings(asked.settings, asked.sets))
    _prepare(settings)
    console = Console(stderr=True)
    results: list[ProfileResult] = []
    for folder in asked.folders:
        subject = deployed_model(folder)
        beside = subject.folder.parent / "costs" if subject.result else None
        session = asked.session(settings, asked.output or beside, console)
        results += session.rows(subject)
    return results, []


def _methods(asked: _Asked) -> tuple[list[ProfileResult], list[BreakEvens]]:
    """Measures methods on untrained backbones."""
    from sparsebench.execution.profile_runs.break_even_table import break_even_table
    from sparsebench.execution.profile_runs.conditions import complete_settings
    from sparsebench.execution.profile_runs.profiled_models import untrained_models

    suite = _suite(asked)
    settings = complete_settings(suite.profile, suite.costs)
    _prepare(settings)
    session = asked.session(settings, asked.output, Console(stderr=True))
    subjects = untrained_models(suite)
    results = [row for subject in subjects for row in session.rows(subject)]
    if not settings.break_even:
        return results, []
    evens = break_even_table(subjects, settings, store=session.store, report=session.report)
    return results, list(evens)


def _suite(asked: _Asked) -> Suite:
    from sparsebench.errors.problems import raise_errors
    from sparsebench.suite.files import find_suite, read_suite, suite_of
    from sparsebench.suite.validation import problems

    changes = replace(
        options.overrides(models=asked.models, methods=asked.methods, sets=asked.sets),
        profile=asked.settings,
    )
    if len(asked.targets) > 1:
        raise UserError(f"{asked.targets[1]}: name one suite, or folders of deployed models")
    if asked.targets:
        suite_file = read_suite(find_suite(asked.targets[0]), changes)
    elif asked.models and asked.methods:
        suite_file = suite_of(changes)
    else:
        raise UserError("name a suite, or a deployed folder, or --models and --methods")
    raise_errors(problems(suite_file))
    return suite_file.suite


def _prepare(settings: ProfileSettings) -> None:
    """Sets the threads that were asked for, and keeps the library quiet about untrained heads."""
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)


def _print(
    results: Sequence[ProfileResult], evens: Sequence[BreakEvens], chosen: Format | None
) -> None:
    from sparsebench.execution.profile_runs.table import FORMATS, TerminalCosts

    form = chosen or (Format.TABLE if sys.stdout.isatty() else Format.MARKDOWN)
    if form is Format.TABLE:
        Console().print(TerminalCosts(results, evens))
    else:
        sys.stdout.write(FORMATS[form](results, evens))


def _numbers(option: str, text: str | None) -> list[int] | None:
    words = options.words(option, text)
    for word in words or ():
        if not word.isdecimal():
            raise UserError(f"{option}: {word!r} is no whole number")
    return None if words is None else [int(word) for word in words]
