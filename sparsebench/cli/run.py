"""``sparsebench run``: run what is missing of a suite, and print the leaderboard."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparsebench.api.console import SafeConsole, activity
from sparsebench.api.experiment import RUNS, go_offline
from sparsebench.cli import options
from sparsebench.cli.output import warn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from rich.console import Console

    from sparsebench.api import Experiment, Results

FAILED = 1
"""Exit code if a run has no score."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


@options.grouped
def run(
    suite: options.RunOptions,
    where: options.ExecutorOptions,
    *,
    offline: Annotated[
        Path | None,
        typer.Option(
            "--offline",
            metavar="DIR",
            file_okay=False,
            help="A bundle from 'fetch'; no connection to any machine is opened.",
        ),
    ] = None,
    output: options.Output = RUNS,
    time_limit: Annotated[
        str | None,
        typer.Option(
            "--time-limit",
            metavar="TIME",
            help="The longest that a run may last, in seconds or as '2 h'; a run that needs longer "
            "has the status 'timeout'.",
            rich_help_panel="Where to run",
        ),
    ] = None,
    memory_limit: Annotated[
        str | None,
        typer.Option(
            "--memory-limit",
            metavar="SIZE",
            help="The most memory that a run may use, such as '4 GiB'; a run that needs more has "
            "the status 'oom'.",
            rich_help_panel="Where to run",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show the plan, as 'plan' does.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Repeat runs without a score.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Repeat every run.")] = False,
    keep_models: Annotated[
        bool, typer.Option("--keep-models", help="Keep every deployed model beside its result.")
    ] = False,
) -> None:
    """Run what is missing of a suite, and print the leaderboard.

    A cached run is not repeated. A run that fails is a row with its reason, and the others
    continue. Ctrl-C stops the runs; the same command resumes them.

    For example:

        sparsebench run quick --methods full,dsee,wanda
        sparsebench run quick --methods full,dsee --models quick/bert
        sparsebench run suites/glue.yaml --tasks rte --data DIR -o results
    """
    console = SafeConsole()
    if offline:
        go_offline(offline, executor=where.executor)
    experiment = suite.load(output, time_limit=time_limit, memory_limit=memory_limit)
    executor = where.open()
    with activity("Reading backbones and data"):
        cells = experiment.plan(
            retry_failed=retry_failed,
            fresh=fresh,
            keep_models=keep_models,
            command=options.command_line(),
        )
    if dry_run:
        from sparsebench.cli.plan import print_plan

        print_plan(cells, experiment, console)
        return
    with interruptible(console):
        experiment.run(cells, executor, console=console)
    results = experiment.results(cells, warn=warn)
    if missing := len(cells) - len(results):
        runs = "1 run has" if missing == 1 else f"{missing} runs have"
        console.print(f"{runs} no result; the same command resumes.")
    if len(results):
        missing += _conclude(results, experiment, console)
    raise typer.Exit(FAILED if missing else 0)


@contextmanager
def interruptible(console: Console) -> Iterator[None]:
    """Report at the first Ctrl-C that runs stop, and that a second one stops them at once.

    Raises:
        typer.Exit: The runs were stopped.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's own
        signal.signal(signal.SIGINT, before)
        console.print("Stopping after the current steps; Ctrl-C again stops at once.")
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        console.print(
            "Stopped. Finished runs are kept, and unfinished ones up to their last checkpoint: "
            "the same command resumes them.",
            soft_wrap=True,
        )
        raise typer.Exit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGINT, before)


def _conclude(results: Results, experiment: Experiment, console: Console) -> int:
    """Print the leaderboard, write it beside the results, and return the exit code."""
    from sparsebench.leaderboard import TerminalDocument, scores_document
    from sparsebench.leaderboard.board import DENSE
    from sparsebench.results.records import Status
    from sparsebench.results.stored_run import RESULT

    store, board = experiment.store, results.leaderboard()
    console.print(TerminalDocument(scores_document(board.board)))
    file = store.root / "leaderboard.md"
    board.save(file)
    console.print(f"Results: {store.root}   Leaderboard: {file}")
    if all(each.spec.method.name != DENSE for each in results):
        console.print(f"No row is dense: add '{DENSE}' to the methods, to compare with it.")
    failed = [each for each in results if each.status not in (Status.OK, Status.SKIPPED)]
    if failed:
        stored = store.run(failed[0].spec)
        first = (stored.folder if stored else store.root) / RESULT
        console.print(f"Why a run failed, with the end of its traceback or log: {first}")
    return FAILED if failed else 0
