"""``sparsebench plan``: the runs of a suite, which are cached, and how long the rest may take."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import TYPE_CHECKING

from rich.table import Table

from sparsebench.api.console import SafeConsole, activity
from sparsebench.api.experiment import RUNS
from sparsebench.api.tally import duration
from sparsebench.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from sparsebench.api import Experiment
    from sparsebench.execution.plan import PlannedRun
    from sparsebench.results.records import RunResult


@options.grouped
def plan(suite: options.RunOptions, *, output: options.Output = RUNS) -> None:
    """Show the runs of a suite: which are cached, which are missing, how long those may take.

    Nothing is trained or written.

    For example:

        sparsebench plan quick
        sparsebench plan glue --methods full,lora --seeds 1,2,3 --data DIR
    """
    console = SafeConsole()
    experiment = suite.load(output)
    with activity("Reading backbones and data"):
        cells = experiment.plan()
    print_plan(cells, experiment, console)


def print_plan(cells: Sequence[PlannedRun], experiment: Experiment, console: Console) -> None:
    """Print every run with its state, its steps and the duration of similar runs."""
    from sparsebench.execution.planned import PlanState

    finished = [result for result in experiment.store if result.training]
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
        console.print(f"About {duration(total)}, by the speed of finished runs of the same kind.")
    if unknown:
        console.print(f"For {unknown} of them there is no finished run to estimate from.")


def _state(cell: PlannedRun) -> str:
    """Return the state of a run, with its part in learning from a teacher."""
    from sparsebench.execution.planned import PlanState

    teacher, state = cell.job.spec.teacher, _own_state(cell)
    learns = f"learns from {teacher.name}" if teacher and state == PlanState.RUN else ""
    teaches = f"teaches {', '.join(cell.students)}" if cell.students else ""
    roles = ", ".join(filter(None, (learns, teaches)))
    return f"{state} ({roles})" if roles else state


def _own_state(cell: PlannedRun) -> str:
    if cell.cached and cell.cached.reason:
        return f"{cell.state} ({cell.cached.status}: {cell.cached.reason})"
    return f"{cell.state}: {cell.reason}" if cell.reason else str(cell.state)


def _estimate(cell: PlannedRun, finished: Sequence[RunResult]) -> float | None:
    """Estimate seconds from the median time of a step in runs of this backbone on this task."""
    spec = cell.job.spec
    paces = [
        result.spec.training.batch_size / result.training.examples_per_second
        for result in finished
        if result.training and (result.spec.task, result.spec.model) == (spec.task, spec.model)
    ]
    return statistics.median(paces) * cell.steps if paces else None
