"""``sparsebench profile``: measure costs, of methods without training and of deployed folders."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sparsebench.api import Profiles
from sparsebench.api import profile as measure
from sparsebench.api.console import SafeConsole
from sparsebench.cli import options
from sparsebench.cli.output import Format
from sparsebench.errors import UserError

FAILED = 1
"""Exit code if a measurement failed, or nothing could be measured."""

_SHAPES = "Under what conditions"
_MEASURES = "What to measure"


def _option(text: str, panel: str, metavar: str = "A,B") -> Any:
    return typer.Option(metavar=metavar, help=text, rich_help_panel=panel)


Targets = Annotated[
    list[str] | None,
    typer.Argument(metavar="SUITE | DEPLOYED", help="A suite, or folders of deployed models."),
]
FormatOption = Annotated[
    Format | None,
    options.format_option(
        Format.TABLE,
        Format.MARKDOWN,
        Format.CSV,
        Format.JSON,
        default="by default table on a terminal, else md",
    ),
]
StoreFolder = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        file_okay=False,
        help="Keep every row here; a cached row is not measured again. "
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
            help="The sparsity above which each runtime is faster than dense.",
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

    On untrained backbones, masks and removals are as at the end of a run. What cannot be measured
    is a row or a note with its reason, and the other measurements continue.

    For example:

        sparsebench profile costs -o costs
        sparsebench profile --models random:bert-base --methods magnitude --batch-sizes 1,8
        sparsebench profile runs/rte--minilm--lora--s1--1f7b6e0d/deployed
    """
    given: dict[str, Any] = {
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
    found = measure(
        targets,
        methods=methods,
        models=models,
        settings=sets,
        output=output,
        fresh=fresh,
        command=options.command_line(),
        **{key: value for key, value in given.items() if value is not None},
    )
    _print(found, format_)
    outcomes = {result.status for result in found}
    if "error" in outcomes or outcomes == {"skipped"}:
        raise typer.Exit(FAILED)


def _print(profiles: Profiles, format_: Format | None) -> None:
    if format_ is Format.TABLE or (format_ is None and sys.stdout.isatty()):
        from sparsebench.leaderboard import TerminalDocument

        SafeConsole().print(TerminalDocument(profiles.document))
    else:
        sys.stdout.write(profiles.render(format_ or Format.MARKDOWN))


def _numbers(option: str, text: str | None) -> list[int] | None:
    words = options.words(option, text)
    for word in words or ():
        if not word.isdecimal():
            raise UserError(f"{option}: {word!r} is no whole number")
    return None if words is None else [int(word) for word in words]
