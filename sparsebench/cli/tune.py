"""``sparsebench tune``: searches settings for every method of a suite, on equal terms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console

from sparsebench.cli import folder, options
from sparsebench.cli.run_jobs import make_runs, open_executor
from sparsebench.cli.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sparsebench.schema.spec import TuningRecord

TUNED = "tuned.yaml"


def tune(
    suite: options.SuiteArgument,
    *,
    methods: options.Methods = None,
    models: options.Models = None,
    sets: options.Sets = None,
    data: options.Data = None,
    output: options.Output = None,
    executor: options.ExecutorName = "local",
    executor_options: options.ExecutorOptions = None,
    workers: options.Workers = None,
    device: options.Device = "auto",
) -> None:
    """Search settings for every method of a suite, with the same number of trials for all.

    Trials train on a part of the training set and are chosen by their score on the rest; nothing is
    chosen by a score that is reported. The trials are kept in DIR/tuning, and the suite with what
    was chosen is written to DIR/tuned.yaml, to be run like any other.
    """
    from sparsebench.execution.plan import check_plan
    from sparsebench.execution.tuning import choose, trial_suite, tuned_suite
    from sparsebench.results.store import Store

    console = Console()
    chosen = options.selected(
        suite,
        methods=methods,
        models=models,
        tasks=None,
        seeds=None,
        sets=sets,
        budget=None,
        data=data,
        output=output,
    )
    opened = open_executor(executor, workers=workers, device=device, given=executor_options)
    root = chosen.store.root
    trials = replace(chosen, suite=trial_suite(chosen.suite), store=Store(root / "tuning"))
    cells = trials.plan(console, command=options.command_line())
    check_plan(cells)
    make_runs(cells, executor=opened, console=console)
    results = [result for cell in cells if (result := trials.store.find(cell.job.spec))]
    found = choose(chosen.suite, results)
    _show(found, console)
    root.mkdir(parents=True, exist_ok=True)
    folder.write_text(root / TUNED, tuned_suite(chosen.suite, found))


def _show(found: Mapping[str, TuningRecord], console: Console) -> None:
    from sparsebench.leaderboard.text import percent

    rows = []
    for label, tuned in found.items():
        for at, trial in enumerate(tuned.trials):
            settings = ", ".join(f"{key}={value}" for key, value in trial.settings.items())
            score = "failed" if trial.score is None else percent(trial.score)
            rows.append((label, settings, score, "chosen" if at == tuned.chosen else ""))
    print_table(console, ("method", "settings", "held-out score", ""), rows)
