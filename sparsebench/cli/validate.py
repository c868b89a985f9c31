"""``sparsebench validate``: report everything that is wrong with a suite, in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from sparsebench.api.console import activity
from sparsebench.cli import options
from sparsebench.cli.output import plain_console

if TYPE_CHECKING:
    from sparsebench.suite import Suite

MISTAKES = 2
"""Exit code if something is wrong, as for every mistake of a user."""


@options.grouped
def validate(suite: options.RunOptions) -> None:
    """Check a suite without running it: keys, names, settings, backbones and data.

    Every mistake is reported with its file and line. A note is no mistake: it names what will be
    skipped, or what cannot be checked on this machine.

    For example:

        sparsebench validate suites/glue.yaml --data DIR
        sparsebench validate quick --set lora.r=16
    """
    from sparsebench.errors.problems import Severity
    from sparsebench.suite.files import find_suite, read_suite
    from sparsebench.suite.validation import problems
    from sparsebench.tasks import DataSource

    console = plain_console()
    suite_file = read_suite(find_suite(suite.suite), suite.overrides)
    source = DataSource(folder=suite.data, revision=suite_file.suite.revision)
    with activity("Reading backbones and data"):
        found = problems(suite_file, data=source, recipes=True)
    for problem in found:
        style = "red" if problem.severity is Severity.ERROR else None
        console.print(f"{problem.severity}: {problem}", style=style)
    errors = sum(problem.severity is Severity.ERROR for problem in found)
    if errors:
        console.print(f"{suite_file.suite.name}: {errors} {'error' if errors == 1 else 'errors'}")
        raise typer.Exit(MISTAKES)
    console.print(summary(suite_file.suite))
    if suite_file.suite.tasks:
        console.print(budgets(suite_file.suite))


def summary(suite: Suite) -> str:
    """Return the number of runs of a suite, and of its parts."""
    from sparsebench.suite import cells

    parts = {
        "task": suite.tasks,
        "backbone": suite.models,
        "method": suite.methods,
        "seed": suite.seeds,
    }
    counts = [f"{len(p)} {name}{'' if len(p) == 1 else 's'}" for name, p in parts.items()]
    if not suite.tasks:
        return f"{suite.name}: costs of {counts[2]} on {counts[1]}, for 'sparsebench profile'"
    runs = sum(1 for _ in cells(suite))
    return f"{suite.name}: {runs} {'run' if runs == 1 else 'runs'}, of {', '.join(counts)}"


def budgets(suite: Suite) -> str:
    """Return the budget that every method has on each task."""
    from sparsebench.suite import training_for

    tasks: dict[str, list[str]] = {}
    for task in suite.tasks:
        tasks.setdefault(str(training_for(suite, task).budget), []).append(task)
    if len(tasks) == 1:
        return f"budget of every method: {next(iter(tasks))}"
    parts = [f"{budget} on {', '.join(names)}" for budget, names in tasks.items()]
    return f"budget of every method: {'; '.join(parts)}"
