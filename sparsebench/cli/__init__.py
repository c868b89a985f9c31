"""The command line: a file for each command; heavy libraries are imported inside the commands."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from sparsebench.api.console import SafeConsole
from sparsebench.cli import terminal
from sparsebench.cli.check import check
from sparsebench.cli.compare import compare
from sparsebench.cli.export import export
from sparsebench.cli.fetch import fetch
from sparsebench.cli.leaderboard import leaderboard
from sparsebench.cli.listing import list_
from sparsebench.cli.new_method import new_method
from sparsebench.cli.pack import pack
from sparsebench.cli.plan import plan
from sparsebench.cli.profile import profile
from sparsebench.cli.reproduce import reproduce
from sparsebench.cli.run import run
from sparsebench.cli.score import score
from sparsebench.cli.show import show
from sparsebench.cli.tune import tune
from sparsebench.cli.validate import validate
from sparsebench.cli.verify import verify
from sparsebench.errors import UserError
from sparsebench.version import __version__

app = typer.Typer(
    name="sparsebench",
    help="Compare fine-tuning methods that save parameters, compute or activations.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    add_completion=True,
)
app.command()(run)
app.command()(plan)
app.command()(tune)
app.command()(fetch)
app.command()(validate)
app.command("list")(list_)
app.command()(show)
app.command()(leaderboard)
app.command()(compare)
app.command()(verify)
app.command()(pack)
app.command()(reproduce)
app.command()(score)
app.command()(profile)
app.command()(export)
app.command()(check)
app.command()(new_method)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - typer passes it by position
    if asked:
        typer.echo(f"sparsebench {__version__}")
        raise typer.Exit


@app.callback()
def _every_command(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; a mistake of the user ends in one message and exit code 2."""
    terminal.prepare()
    # Else the Hub's library reports each attempt to reach it, before our message on its absence.
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    try:
        with terminal.flushed():
            app()
    except UserError as error:
        SafeConsole(stderr=True, soft_wrap=True).print(f"error: {error}", style="red")
        sys.exit(2)
