"""``sparsebench validate``: everything that is wrong with a suite, in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.console import Console

from sparsebench.cli import options

if TYPE_CHECKING:
    from sparsebench.suite import Suite

MISTAKES = 2
"""Exit code where something is wrong, as for every mistake of a user."""


def validate(
    suite: options.SuiteArgument,
    *,
    methods: options.Methods = None,
    models: options.Models = None,
    tasks: options.Tasks = None,
    seeds: options.Seeds = None,
    sets: options.Sets = None,
    budget: options.Budget = None,
    data: options.Data = None,
) -> None:
    """Check a suite without running it: keys, names, settings, backbones and data.

    Every mistake is shown with its file and line. A note is no mistake: it says what will be
    skipped, or what cannot be checked from here.
    """
    from sparsebench.errors.problems import Severity
    from sparsebench.suite.files import find_suite, read_suite
    from sparsebench.suite.validation import problems
    from sparsebench.tasks import DataSource

    console = Console(soft_wrap=True, highlight=False)
    changes = options.overrides(
        methods=methods, models=models, tasks=tasks, seeds=seeds, sets=sets, budget=budget
    )
    suite_file = read_suite(find_suite(suite), changes)
    source = DataSource(folder=data, revision=suite_file.suite.revision)
    with console.status("Reading data"):
        found = problems(suite_file, data=source)
    for problem in found:
        style = "red" if problem.severity is Severity.ERROR else None
        console.print(f"{problem.severity}: {problem}", style=style, markup=False)
    errors = sum(problem.severity is Severity.ERROR for problem in found)
    if errors:
        console.print(f"{suite_file.path}: {errors} {'error' if errors == 1 else 'errors'}")
        raise typer.Exit(MISTAKES)
    console.print(summary(suite_file.suite), markup=False)
    if suite_file.suite.tasks:
        console.print(budgets(suite_file.suite), markup=False)


def summary(suite: Suite) -> str:
    """Returns how many runs a suite stands for, and of what."""
    from sparsebench.suite import cells

    parts = {
        "task": suite.tasks,
        "backbone": suite.models,
        "method": suite.methods,
        "seed": suite.seeds,
    }
    counts = [f"{len(p)} {name}{'' if len(p) == 1 else 's'}" for name, p in parts.items()]
    if not suite.tasks:
        return f"{suite.name}: costs of {counts[2]} on {counts[1]}; 'sparsebench profile' takes it"
    runs = sum(1 for _ in cells(suite))
    return f"{suite.name}: {runs} {'run' if runs == 1 else 'runs'}, of {', '.join(counts)}"


def budgets(suite: Suite) -> str:
    """Returns the budget that every method has on each task."""
    from sparsebench.suite import training_for

    tasks: dict[str, list[str]] = {}
    for task in suite.tasks:
        tasks.setdefault(str(training_for(suite, task).budget), []).append(task)
    if len(tasks) == 1:
        return f"budget of every method: {next(iter(tasks))}"
    parts = [f"{budget} on {', '.join(names)}" for budget, names in tasks.items()]
    return f"budget of every method: {'; '.join(parts)}"
