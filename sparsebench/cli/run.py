"""``sparsebench run``: makes the runs of a suite that are missing, and prints the leaderboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sparsebench.cli import folder, options
from sparsebench.cli.run_jobs import make_runs, open_executor
from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sparsebench.cli.options import Selected
    from sparsebench.execution.plan import PlannedRun
    from sparsebench.results.store import Store

FAILED = 1
"""Exit code where a run has no score."""


def run(
    suite: options.SuiteArgument,
    *,
    methods: options.Methods = None,
    models: options.Models = None,
    tasks: options.Tasks = None,
    seeds: options.Seeds = None,
    sets: options.Sets = None,
    budget: options.Budget = None,
    data: options.Data = None,
    offline: options.Offline = None,
    output: options.Output = None,
    executor: options.ExecutorName = "local",
    executor_options: options.ExecutorOptions = None,
    workers: options.Workers = None,
    device: options.Device = "auto",
    time_limit: options.TimeLimit = None,
    memory_limit: options.MemoryLimit = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would run.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Make runs without a score again.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Make every run again.")] = False,
    keep_models: Annotated[
        bool, typer.Option("--keep-models", help="Keep every deployed model beside its result.")
    ] = False,
) -> None:
    """Make the runs of a suite that are missing, and print the leaderboard.

    A run that is there already is not made again. A run that fails becomes a row with its reason,
    and the others go on.
    """
    from sparsebench.execution.plan import check_plan

    console = Console()
    if offline:
        _go_offline(offline, executor=executor)
    chosen = options.selected(
        suite,
        methods=methods,
        models=models,
        tasks=tasks,
        seeds=seeds,
        sets=sets,
        budget=budget,
        data=data,
        output=output,
        time_limit=time_limit,
        memory_limit=memory_limit,
    )
    opened = open_executor(executor, workers=workers, device=device, given=executor_options)
    cells = chosen.plan(
        console,
        retry_failed=retry_failed,
        fresh=fresh,
        keep_models=keep_models,
        command=options.command_line(),
    )
    if dry_run:
        from sparsebench.cli.plan import print_plan

        print_plan(cells, chosen, console)
        return
    check_plan(cells)
    _record_skips(cells, chosen.store)
    make_runs(cells, executor=opened, console=console)
    raise typer.Exit(_conclude(cells, chosen, console))


def _go_offline(folder: Path, *, executor: str) -> None:
    from sparsebench.models.bundle import use_bundle

    if executor == "ray":
        raise UserError("--offline opens no connection, and the executor 'ray' is made of them")
    use_bundle(folder)


def _record_skips(cells: Sequence[PlannedRun], store: Store) -> None:
    """Leaves a row of every combination that makes no sense, so that it is not merely absent."""
    from sparsebench.execution.plan import PlanState

    for cell in cells:
        if cell.state is PlanState.SKIP and cell.skipped != store.find(cell.job.spec):
            store.write(cell.skipped)


def _conclude(cells: Sequence[PlannedRun], chosen: Selected, console: Console) -> int:
    """Prints the leaderboard of the runs, writes it beside them, and returns the exit code."""
    from sparsebench.leaderboard import FORMATS, TerminalTable, build
    from sparsebench.results.records import Status
    from sparsebench.results.stored_run import RESULT

    store = chosen.store
    found = {
        run: result
        for cell in cells
        if (run := store.run(cell.job.spec)) and (result := store.find(cell.job.spec))
    }
    results = list(found.values())
    board = build(
        results, read=folder.reader(found), evidence=folder.evidence_of(found, root=store.root)
    )
    console.print(TerminalTable(board))
    file = store.root / "leaderboard.md"
    try:
        file.write_text(FORMATS["md"](board), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file}: cannot be written ({error.strerror})") from None
    console.print(f"Results: {store.root}   Leaderboard: {file}")
    failed = [r for r in results if r.status not in (Status.OK, Status.SKIPPED)]
    if failed:
        told = next(run.folder for run, result in found.items() if result is failed[0]) / RESULT
        console.print(f"Why a run has failed, with the end of its traceback or log: {told}")
    return FAILED if failed else 0
