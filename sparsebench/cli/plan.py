"""``sparsebench plan``: what a suite asks for, what is there, what the rest may take."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from sparsebench.cli import options
from sparsebench.cli.durations import duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsebench.cli.options import Selected
    from sparsebench.execution.plan import PlannedRun
    from sparsebench.results.records import RunResult


def plan(
    suite: options.SuiteArgument,
    *,
    methods: options.Methods = None,
    models: options.Models = None,
    tasks: options.Tasks = None,
    seeds: options.Seeds = None,
    sets: options.Sets = None,
    budget: options.Budget = None,
    data: options.Data = None,
    output: options.Output = None,
) -> None:
    """Show the runs of a suite: which are there, which are to run, and how long that may take."""
    console = Console()
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
    )
    print_plan(chosen.plan(console), chosen, console)


def print_plan(cells: Sequence[PlannedRun], chosen: Selected, console: Console) -> None:
    """Prints every run with its state, its steps and what similar runs took."""
    from sparsebench.execution.plan import PlanState

    finished = [result for result in chosen.store if result.training]
    table = Table(box=None, pad_edge=False)
    for heading in ("task", "model", "method", "seed", "state"):
        table.add_column(heading)
    table.add_column("steps", justify="right")
    table.add_column("about", justify="right")
    total, unknown = 0.0, 0
    for cell in cells:
        seconds = _estimate(cell, finished) if cell.state is PlanState.RUN else None
        total += seconds or 0.0
        unknown += cell.state is PlanState.RUN and seconds is None
        spec = cell.job.spec
        row = (spec.task, spec.model, spec.method.label, str(spec.seed), _state(cell))
        steps = str(cell.steps) if cell.state is PlanState.RUN else ""
        table.add_row(*row, steps, "" if seconds is None else duration(seconds))
    console.print(table)
    counts = Counter(cell.state for cell in cells)
    console.print(", ".join(f"{counts[state]} {state}" for state in sorted(counts)))
    if counts[PlanState.RUN] > unknown:
        console.print(f"About {duration(total)}, by the speed of finished runs like these.")
    if unknown:
        console.print(f"No finished run tells how long {unknown} of them take.")


def _state(cell: PlannedRun) -> str:
    if cell.cached and cell.cached.reason:
        return f"{cell.state} ({cell.cached.status}: {cell.cached.reason})"
    return f"{cell.state}: {cell.reason}" if cell.reason else str(cell.state)


def _estimate(cell: PlannedRun, finished: Sequence[RunResult]) -> float | None:
    """Returns the steps by the median time of a step in runs of this backbone on this task."""
    spec = cell.job.spec
    paces = [
        result.spec.training.batch_size / result.training.examples_per_second
        for result in finished
        if result.training and (result.spec.task, result.spec.model) == (spec.task, spec.model)
    ]
    return statistics.median(paces) * cell.steps if paces else None
