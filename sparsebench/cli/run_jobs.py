"""Making the runs of a plan: where, how it goes, and how it is stopped."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from rich.console import Console

    from sparsebench.execution.executors import Executor
    from sparsebench.execution.plan import PlannedRun

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def open_executor(
    name: str, *, workers: int | None, device: str, given: Sequence[str] | None
) -> Executor:
    """Returns where runs are made, as the command line says it.

    Args:
        name: The name of an installed executor.
        workers: Runs at a time; None for what suits the executor.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        given: Options of the executor, each ``key=value``.

    Raises:
        UserError: There is none of the name, an option is bad, or a package is missing.
    """
    from sparsebench.execution.executors import EXECUTORS
    from sparsebench.suite.yamlfile import parse

    options: dict[str, object] = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--executor-option {text}: write it as KEY=VALUE")
        options[key.strip()] = parse(value, name=f"--executor-option {text}").data
    executor = EXECUTORS.get(name, where="--executor")
    return executor(workers=workers, device=device, options=options)


def make_runs(cells: Sequence[PlannedRun], *, executor: Executor, console: Console) -> None:
    """Makes the runs that are to be made, and shows how they go.

    Args:
        cells: The plan.
        executor: Makes them.
        console: Where to show it.

    Raises:
        UserError: They cannot be made there, or no result can be written.
        typer.Exit: It was stopped by Ctrl-C.
    """
    from sparsebench.cli.progress import progress
    from sparsebench.execution.plan import PlanState

    jobs = [cell.job for cell in cells if cell.state is PlanState.RUN]
    cached = sum(cell.state is PlanState.CACHED for cell in cells)
    if not jobs:
        console.print(f"Nothing to run: the results of all {cached} runs are there.")
        return
    titles = {job.key: job.spec.title for job in jobs}
    try:
        with _told_of_interrupt(console), progress(titles, cached=cached, console=console) as told:
            executor.run(jobs, told)
    except KeyboardInterrupt:
        console.print(
            "Stopped. What is finished is kept, and what was begun as far as its last checkpoint: "
            "the same command goes on from there.",
            soft_wrap=True,
        )
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _told_of_interrupt(console: Console) -> Iterator[None]:
    """Says at the first Ctrl-C what it does, and what a second one would do."""

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's own
        signal.signal(signal.SIGINT, before)
        console.print("Stopping after the steps that are being made; Ctrl-C again stops at once.")
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
