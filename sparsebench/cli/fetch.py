"""``sparsebench fetch``: brings what a suite needs into one folder, to be run without a network."""

from __future__ import annotations

import shlex

from rich.console import Console

from sparsebench.cli import options


def fetch(
    suite: options.SuiteArgument,
    *,
    to: options.To,
    models: options.Models = None,
    tasks: options.Tasks = None,
    sets: options.Sets = None,
    data: options.Data = None,
) -> None:
    """Bring the data and the models of a suite into one folder, with their checksums.

    'sparsebench run SUITE --offline DIR' then makes the same runs, with the same keys, where there
    is no network. What comes with the package is not brought.
    """
    import datasets

    from sparsebench.execution.fetch import fetch as make

    datasets.disable_progress_bars()  # what is brought is told line by line
    console = Console(soft_wrap=True, highlight=False, markup=False)
    chosen = options.selected(
        suite,
        methods=None,
        models=models,
        tasks=tasks,
        seeds=None,
        sets=sets,
        budget=None,
        data=data,
        output=None,
    )
    bundle = make(
        chosen.suite, data=chosen.data, to=to, say=lambda what: console.print(f"fetching {what}")
    )
    size = sum(file.stat().st_size for file in to.rglob("*") if file.is_file())
    given = [("--models", models), ("--tasks", tasks), *(("--set", text) for text in sets or ())]
    again = ["sparsebench", "run", str(suite), "--offline", str(to)]
    again += [word for option, value in given if value for word in (option, value)]
    console.print(
        f"{to}: tasks {len(bundle.tasks)}, models {len(bundle.models)}, {size / 2**20:.1f} MiB. "
        f"Copy it, and there: {shlex.join(again)}"
    )
