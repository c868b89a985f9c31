"""``sparsebench tune``: search settings for every method of a suite, on equal terms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sparsebench.api.console import SafeConsole, activity
from sparsebench.api.experiment import RUNS
from sparsebench.cli import options
from sparsebench.cli.output import print_table, write_text
from sparsebench.cli.run import interruptible

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console

    from sparsebench.api.experiment import Experiment
    from sparsebench.execution.executors import Executor
    from sparsebench.schema.spec import TuningRecord

TUNED = "tuned.yaml"
"""The file of the suite with the chosen settings."""


@options.grouped
def tune(
    suite: options.SuiteOptions,
    where: options.ExecutorOptions,
    *,
    output: options.Output = RUNS,
) -> None:
    """Search settings for every method of a suite, with the same number of search trials for all.

    Search trials train on a part of the training set and are compared by their score on the rest;
    no setting is chosen by a score that is reported. DIR/tuning keeps the search trials;
    DIR/tuned.yaml is the suite with the chosen settings, to run like any other.

    For example:

        sparsebench tune reference --models MODEL --data DIR -o results
        sparsebench run results/tuned.yaml --data DIR -o results
    """
    from sparsebench.execution.tuning import extended, tuned_suite

    console = SafeConsole()
    experiment, executor = suite.load(output), where.open()
    found = _search(experiment, executor, console, output)
    rounds = experiment.suite.tuning.extensions if experiment.suite.tuning else 0
    for _ in range(rounds):
        longer = extended(experiment.suite, found)
        if longer == experiment.suite:
            break
        experiment = replace(experiment, suite=longer)
        found = _search(experiment, executor, console, output)
    _show(found, console)
    output.mkdir(parents=True, exist_ok=True)
    write_text(output / TUNED, tuned_suite(experiment.suite, found))


def _search(
    experiment: Experiment, executor: Executor, console: Console, output: Path
) -> dict[str, TuningRecord]:
    """Run the search trials that are missing; return the best settings of every method."""
    from sparsebench.execution.tuning import choose, trial_suite
    from sparsebench.results.store import Store

    trials = replace(
        experiment, suite=trial_suite(experiment.suite), store=Store(output / "tuning")
    )
    with activity("Reading backbones and data"):
        cells = trials.plan(command=options.command_line())
    with interruptible(console):
        trials.run(cells, executor, console=console)
    return choose(experiment.suite, trials.results(cells))


def _show(found: Mapping[str, TuningRecord], console: Console) -> None:
    from sparsebench.leaderboard.text import percent

    rows = []
    for label, tuned in found.items():
        for at, trial in enumerate(tuned.trials):
            settings = ", ".join(f"{key}={value}" for key, value in trial.settings.items())
            score = "failed" if trial.score is None else percent(trial.score)
            rows.append((label, settings, score, "chosen" if at == tuned.chosen else ""))
    print_table(console, ("method", "settings", "held-out score", ""), rows)
