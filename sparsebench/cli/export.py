"""``sparsebench export``: results for other programs."""

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
    """What results are exported to."""

    PARQUET = "parquet"
    """A flat table, a row a run."""

    MODEL_CARD = "model-card"
    """The evaluation block of a Hugging Face model card."""


OutputFile = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")
]


def export(
    form: Annotated[
        Format,
        typer.Argument(
            metavar="FORMAT",
            parser=options.one_of(Format, kind="format"),
            help="parquet or model-card.",
        ),
    ],
    results: folder.Results = options.OUTPUT,
    *,
    output: OutputFile = None,
    name: Annotated[str, typer.Option(help="What the model card calls the model.")] = "my-model",
    tasks: folder.Tasks = None,
    methods: folder.Methods = None,
    models: Annotated[
        str | None, typer.Option("--models", metavar="A,B", help="Only these backbones.")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", metavar="1,2", help="Only these seeds.")
    ] = None,
) -> None:
    """Export results to a flat Parquet file, or to the evaluation block of a model card."""
    from sparsebench.leaderboard.export import model_card, write_parquet

    wanted = options.overrides(tasks=tasks, methods=methods, models=models, seeds=seeds)
    chosen = [
        result
        for result in folder.read_folder(results, wanted=wanted).results
        if (wanted.models is None or result.spec.model in wanted.models)
        and (wanted.seeds is None or result.spec.seed in wanted.seeds)
    ]
    if not chosen:
        raise UserError(f"{results}: no run is of these backbones and seeds")
    if form is Format.MODEL_CARD:
        text = model_card(chosen, name=name)
        if output:
            folder.write_text(output, text)
        else:
            sys.stdout.write(text)
        return
    if output is None:
        raise UserError("parquet takes --output FILE")
    try:
        write_parquet(chosen, output)
    except OSError as error:
        raise UserError(f"{output}: cannot be written ({error.strerror or error})") from error
    Console(stderr=True, soft_wrap=True).print(f"Wrote {output}", markup=False)
