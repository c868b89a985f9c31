"""``sparsebench export``: results for other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sparsebench.api import load_results
from sparsebench.api.console import activity
from sparsebench.api.experiment import RUNS
from sparsebench.cli import options
from sparsebench.cli.output import Format, report_written, warn, write_text
from sparsebench.cli.terminal import stdout_reserved
from sparsebench.errors import UserError

OutputFile = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")
]


def export(
    format_: Annotated[
        Format,
        typer.Argument(
            metavar="FORMAT",
            parser=options.one_of((Format.PARQUET, Format.MODEL_CARD), kind="format"),
            help="parquet or model-card.",
        ),
    ],
    results: options.ResultsFolder = RUNS,
    *,
    output: OutputFile = None,
    name: Annotated[
        str, typer.Option(help="The name of the model in the model card.")
    ] = "my-model",
    tasks: options.OnlyTasks = None,
    methods: options.OnlyMethods = None,
    models: Annotated[
        str | None, typer.Option("--models", metavar="A,B", help="Only these backbones.")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", metavar="1,2", help="Only these seeds.")
    ] = None,
) -> None:
    """Export results to a flat Parquet file, or to the evaluation block of a model card.

    Parquet has one row for each run; the block has one entry for each task.

    For example:

        sparsebench export parquet results/reference -o results.parquet
        sparsebench export model-card --methods lora --seeds 1
    """
    from sparsebench.leaderboard.export import model_card, write_parquet

    with stdout_reserved(), activity("Reading results"):
        chosen = load_results(results, warn=warn).only(
            tasks=tasks, methods=methods, models=models, seeds=seeds
        )
    if format_ is Format.MODEL_CARD:
        text = model_card(chosen, name=name)
        if output:
            write_text(output, text)
        else:
            sys.stdout.write(text)
        return
    if output is None:
        raise UserError("parquet requires --output FILE")
    try:
        write_parquet(chosen, output)
    except OSError as error:
        raise UserError(f"{output}: cannot be written ({error.strerror or error})") from error
    report_written(output)
