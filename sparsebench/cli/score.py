"""``sparsebench score``: scores predictions that were made elsewhere."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sparsebench.cli import options
from sparsebench.cli.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsebench.tasks import Task
    from sparsebench.tasks.scoring import Scored

DataFolder = options.Data
PredictionsFile = Annotated[
    Path,
    typer.Option(
        "--predictions",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="GLUE: TSV of id and prediction; SQuAD: JSON of id and answer; E2E: TSV of MR and "
        "output.",
    ),
]

NAMED = 5
"""Missing and unknown predictions that the table names; JSON names all."""


class Format(StrEnum):
    """How scores are printed."""

    TABLE = "table"
    JSON = "json"


def score(
    task: Annotated[str, typer.Argument(metavar="TASK", help="A task that 'list tasks' shows.")],
    *,
    predictions: PredictionsFile,
    data: DataFolder = None,
    split: Annotated[
        str | None, typer.Option(help="The split that was predicted; the development set.")
    ] = None,
    output: Annotated[
        Format,
        options.format_option(Format, "--format", text="table or json."),
    ] = Format.TABLE,
) -> None:
    """Score predictions that were made elsewhere.

    A missing prediction counts as wrong, and is told; what cannot be computed here is told, too.
    """
    from sparsebench.tasks import TASKS, DataSource
    from sparsebench.tasks.scoring import as_json, score_file

    chosen = TASKS.get(task)
    split = split or chosen.splits[0]
    scored = score_file(chosen, predictions, data=DataSource(folder=data), split=split)
    if output is Format.JSON:
        typer.echo(json.dumps(as_json(scored, task=task, split=split), indent=2))
    else:
        _print(Console(soft_wrap=True, highlight=False, markup=False), chosen, scored)


def _print(console: Console, task: Task, scored: Scored) -> None:
    rows = [
        (split, metric, _number(task, metric, value))
        for split, scores in scored.scores.items()
        for metric, value in scores.items()
    ]
    rows += [("", metric, f"absent: {reason}") for metric, reason in scored.absent.items()]
    print_table(console, ("split", "metric", "value"), rows)
    console.print(f"\n{scored.examples:,} examples of {task.title}")
    _print_names(console, "without a prediction, counted as wrong", scored.missing)
    _print_names(console, "predicted that are no examples, ignored", scored.unknown)


def _number(task: Task, metric: str, value: float) -> str:
    in_percent = task.in_percent and not metric.endswith("threshold")
    return f"{value * 100 if in_percent else value:.4f}"


def _print_names(console: Console, what: str, names: Sequence[str]) -> None:
    from sparsebench.leaderboard.text import clean

    if names:
        shown = ", ".join(map(clean, names[:NAMED])) + (", ..." if len(names) > NAMED else "")
        console.print(f"{len(names):,} {what}: {shown}")
