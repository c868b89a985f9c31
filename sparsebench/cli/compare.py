"""``sparsebench compare``: two methods, and whether their scores differ significantly."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparsebench.api import load_results
from sparsebench.api.console import activity
from sparsebench.api.experiment import RUNS
from sparsebench.cli import options
from sparsebench.cli.output import NOTHING, Format, plain_console, print_json, print_table, warn
from sparsebench.cli.terminal import stdout_reserved

if TYPE_CHECKING:
    from rich.console import Console

    from sparsebench.leaderboard.comparison import Comparison, TaskComparison
    from sparsebench.statistics import Estimate

HEADINGS = ("difference", "95 % interval", "p", "seeds", "examples", "detectable")
EXPLAINED = (
    "Scores are ×100. The test and the confidence interval are Student's t over seeds and "
    "examples. seeds and examples: the standard error from each. detectable: the minimum "
    "detectable difference, which such a test finds in 80 of 100 cases."
)


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A method, by its name in the table.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    results: options.ResultsFolder = RUNS,
    *,
    tasks: options.OnlyTasks = None,
    format_: Annotated[Format, options.format_option(Format.TABLE, Format.JSON)] = Format.TABLE,
) -> None:
    """Compare two methods by their scores.

    Prints the difference, its confidence interval, paired tests, and the minimum detectable
    difference. Seeds that only one of them has are left out. With one seed, the confidence interval
    covers the choice of examples alone: it is about two trained models, not about two methods.

    For example:

        sparsebench compare full lora results/reference
        sparsebench compare dsee pst --tasks rte --format json
    """
    with stdout_reserved(), activity("Comparing results"):
        found = load_results(results, warn=warn).only(tasks=tasks).compare(first, second)
    if format_ is Format.JSON:
        print_json([_raw(comparison) for comparison in found])
        return
    console = plain_console()
    for comparison in found:
        _show(comparison, first, second, console)
    console.print(EXPLAINED, style="dim")


def _show(comparison: Comparison, first: str, second: str, console: Console) -> None:
    from sparsebench.leaderboard.text import clean

    if not comparison.tasks:
        console.print(clean(f"{comparison.group}: no task and seed in common"))
        return
    console.print(clean(f"{comparison.group}: {first} less {second}"), style="bold")
    headings = ("task", clean(first), clean(second), *HEADINGS)
    rows = [_row(task) for task in comparison.tasks]
    if comparison.overall and len(comparison.tasks) > 1:
        rows.append(("all", NOTHING, NOTHING, *_cells(comparison.overall)))
    print_table(console, headings, rows)
    for task in comparison.tasks:
        console.print(clean(f"{task.task}, seed by seed: {_seeds(task)}"))
    if comparison.left_out:
        console.print(clean(f"left out, no seed in common: {', '.join(comparison.left_out)}"))
    if comparison.overall is None:
        console.print("no mean over tasks: they do not have the same number of seeds")
    else:
        console.print(f"→ {_verdict(comparison.overall, first, second)}")
    console.print()


def _row(task: TaskComparison) -> tuple[str, ...]:
    from sparsebench.leaderboard.text import clean

    means = (_score(task.first), _score(task.second))
    return (clean(task.task), *means, *_cells(task.difference))


def _cells(found: Estimate) -> tuple[str, ...]:
    low, high = found.interval or (None, None)
    return (
        _score(found.value, sign=True),
        NOTHING if low is None else f"{_score(low, sign=True)} to {_score(high, sign=True)}",
        NOTHING if found.p_value is None else _p_value(found.p_value),
        _score(found.seed_error),
        _score(found.sampling_error),
        _score(found.detectable),
    )


def _seeds(task: TaskComparison) -> str:
    texts = []
    for each in task.tests:
        test = f" ({each.test.name}, p {_p_value(each.test.p_value)})" if each.test else ""
        texts.append(f"{each.seed}: {_score(each.difference, sign=True)}{test}")
    return "; ".join(texts)


def _verdict(found: Estimate, first: str, second: str) -> str:
    from sparsebench.leaderboard.text import clean
    from sparsebench.statistics import LEVEL

    one, other = clean(first), clean(second)
    if found.error is None:
        return f"without an error estimate, {one} and {other} cannot be compared"
    if found.seed_error is None:
        return f"one seed: the tests are about two trained models, not about {one} and {other}"
    if found.p_value is None and found.value == 0:
        return f"the same score, seed by seed: {one} and {other} are not significantly different"
    if found.p_value is None:
        return f"no variation over seeds and examples: {one} and {other} cannot be tested"
    if found.p_value > LEVEL:
        least = _score(found.detectable)
        return (
            f"{one} and {other} are not significantly different; the minimum detectable "
            f"difference is {least}"
        )
    better, worse = (one, other) if found.value > 0 else (other, one)
    return f"{better} is better than {worse}, p {_p_value(found.p_value)}, as one test by itself"


def _score(value: float | None, *, sign: bool = False) -> str:
    from sparsebench.leaderboard.text import percent

    if value is None:
        return NOTHING
    return f"{'+' if sign and value >= 0 else ''}{percent(value)}"


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"  # noqa: PLR2004 - three digits


def _raw(comparison: Comparison) -> dict[str, Any]:
    def raw(found: Estimate) -> dict[str, Any]:
        derived = {"interval": found.interval, "p_value": found.p_value}
        return {**asdict(found), **derived, "detectable": found.detectable}

    return {
        "group": comparison.group,
        "tasks": [
            {**asdict(task), "difference": raw(task.difference)} for task in comparison.tasks
        ],
        "overall": comparison.overall and raw(comparison.overall),
        "left_out": comparison.left_out,
    }
