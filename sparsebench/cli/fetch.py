"""``sparsebench fetch``: brings what a suite needs into one folder, to be run without a network."""

from __future__ import annotations

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
    from sparsebench.fetching import fetch as make

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
    console.print(
        f"{to}: {len(bundle.tasks)} tasks, {len(bundle.models)} models, {size / 2**20:.1f} MiB. "
        f"Copy it, and there: sparsebench run {suite} --offline {to}"
    )
