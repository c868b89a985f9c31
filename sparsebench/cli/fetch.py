"""``sparsebench fetch``: download what a suite requires into one folder."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from sparsebench.cli import options
from sparsebench.cli.output import plain_console


@options.grouped
def fetch(
    suite: options.RunOptions,
    *,
    to: Annotated[
        Path,
        typer.Option("--to", metavar="DIR", file_okay=False, help="The folder; it is created."),
    ],
) -> None:
    """Download the data and the models of a suite into one folder, with their checksums.

    'sparsebench run SUITE --offline DIR' then does the same runs, with the same keys, on a machine
    without a network. What comes with the package is not part of the folder.

    For example:

        sparsebench fetch glue --tasks mrpc,rte --to bundle
        sparsebench run glue --tasks mrpc,rte --offline bundle
    """
    import datasets

    from sparsebench.execution.fetch import fetch as fetch_bundle

    datasets.disable_progress_bars()  # a line for each download instead
    console = plain_console()
    experiment = suite.load()
    bundle = fetch_bundle(
        experiment.suite,
        data=experiment.data,
        to=to,
        say=lambda what: console.print(f"fetching {what}"),
    )
    size = sum(file.stat().st_size for file in to.rglob("*") if file.is_file())
    names = ("methods", "models", "tasks", "seeds", "budget")
    given = [(f"--{name}", getattr(suite, name)) for name in names]
    given += [("--set", text) for text in suite.sets or ()]
    again = ["sparsebench", "run", suite.suite, "--offline", str(to)]
    again += [word for option, value in given if value for word in (option, value)]
    console.print(
        f"{to}: tasks {len(bundle.tasks)}, models {len(bundle.models)}, {size / 2**20:.1f} MiB. "
        f"Copy it, and there: {shlex.join(again)}"
    )
