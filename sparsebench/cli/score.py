"""``sparsebench score``: score the predictions of another program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparsebench.api.console import activity
from sparsebench.cli import options
from sparsebench.cli.output import Format, plain_console, print_json, print_table, warn
from sparsebench.cli.terminal import stdout_reserved

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from sparsebench.tasks import Task
    from sparsebench.tasks.scoring import Scored

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


def score(
    task: Annotated[str, typer.Argument(metavar="TASK", help="A task that 'list tasks' shows.")],
    *,
    predictions: PredictionsFile,
    data: options.Data = None,
    split: Annotated[
        str | None,
        typer.Option(help="The split of the predictions; the development set by default."),
    ] = None,
    format_: Annotated[Format, options.format_option(Format.TABLE, Format.JSON)] = Format.TABLE,
) -> None:
    """Score the predictions of another program.

    A missing prediction counts as wrong and is reported; so is a metric that cannot be computed
    on this machine.

    For example:

        sparsebench score rte --predictions RTE.tsv --data DIR
        sparsebench score squad --predictions predictions.json --data DIR
    """
    from sparsebench.tasks import TASKS, DataSource
    from sparsebench.tasks.scoring import as_json, score_file

    with stdout_reserved(), activity("Scoring predictions"):
        name = _registered(task, TASKS)
        chosen = TASKS.get(name)
        split = _split(split, chosen)
        scored = score_file(chosen, predictions, data=DataSource(folder=data), split=split)
    if scored.unknown:
        total = len(scored.unknown) + scored.examples - len(scored.missing)
        warn(
            f"{len(scored.unknown):,} of {total:,} predictions are for no example and are ignored; "
            "are the ids right?"
        )
    if scored.missing:
        warn(
            f"{len(scored.missing):,} of {scored.examples:,} examples have no prediction and count "
            "as wrong"
        )
    if format_ is Format.JSON:
        print_json(as_json(scored, task=name, split=split))
    else:
        _print(plain_console(), chosen, scored)


def _registered(given: str, tasks: Iterable[str]) -> str:
    """Return the name of a task that is written as RTE, SST-2 or alike; else what was given."""
    known = {_plain(name): name for name in tasks}
    return known.get(_plain(given), given)


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _split(given: str | None, task: Task) -> str:
    """Return a split of a task; 'validation', as results call the development set, is 'dev'."""
    if given is None:
        return task.splits[0]
    if given.partition("_")[0] in ("validation", "valid", "val", "development"):
        return "dev" if "dev" in task.splits else given
    return given


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
