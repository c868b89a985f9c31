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

    from rich.console import Console

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
    from sparsebench.execution.tuning import choose, trial_suite, tuned_suite
    from sparsebench.results.store import Store

    console = SafeConsole()
    experiment, executor = suite.load(output), where.open()
    trials = replace(
        experiment, suite=trial_suite(experiment.suite), store=Store(output / "tuning")
    )
    with activity("Reading backbones and data"):
        cells = trials.plan(command=options.command_line())
    with interruptible(console):
        trials.run(cells, executor, console=console)
    found = choose(experiment.suite, trials.results(cells))
    _show(found, console)
    output.mkdir(parents=True, exist_ok=True)
    write_text(output / TUNED, tuned_suite(experiment.suite, found))


def _show(found: Mapping[str, TuningRecord], console: Console) -> None:
    from sparsebench.leaderboard.text import percent

    rows = []
    for label, tuned in found.items():
        for at, trial in enumerate(tuned.trials):
            settings = ", ".join(f"{key}={value}" for key, value in trial.settings.items())
            score = "failed" if trial.score is None else percent(trial.score)
            rows.append((label, settings, score, "chosen" if at == tuned.chosen else ""))
    print_table(console, ("method", "settings", "held-out score", ""), rows)
