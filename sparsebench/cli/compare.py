"""``sparsebench compare``: two methods, and whether these results can tell them apart."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from sparsebench.cli import folder, options
from sparsebench.cli.tables import print_table

if TYPE_CHECKING:
    from sparsebench.leaderboard.comparison import Comparison, TaskComparison
    from sparsebench.statistics import Estimate

NOTHING = "—"
HEADINGS = ("difference", "95 % interval", "p", "seeds", "examples", "could show")
EXPLAINED = (
    "Scores are ×100. The test and the interval are Student's t over seeds and examples. seeds and "
    "examples: the standard error that comes from either. could show: the smallest difference that "
    "such a test finds in 80 of 100 cases."
)


class Format(StrEnum):
    """What a comparison is shown as."""

    TABLE = "table"
    """For people."""

    JSON = "json"
    """Raw numbers."""


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A method, by its name in the table.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    results: folder.Results = options.OUTPUT,
    *,
    tasks: folder.Tasks = None,
    form: Annotated[
        Format,
        options.format_option(Format, "--format", "-f", text="table or json."),
    ] = Format.TABLE,
) -> None:
    """Compare two methods: difference, interval, tests, and the difference that could be shown.

    Seeds that only one of them has are left out. With one seed the interval knows the choice of
    examples alone: it is about two trained models, not about two methods.
    """
    from sparsebench.leaderboard import compare as compare_results

    read = folder.read_folder(results, wanted=options.overrides(tasks=tasks))
    found = compare_results(read.results, first, second, read=read.read)
    if form is Format.JSON:
        content = [_raw(comparison) for comparison in found]
        sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        return
    console = Console(soft_wrap=True, highlight=False, markup=False)
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
    told = []
    for each in task.tests:
        test = f" ({each.test.name}, p {_p_value(each.test.p_value)})" if each.test else ""
        told.append(f"{each.seed}: {_score(each.difference, sign=True)}{test}")
    return "; ".join(told)


def _verdict(found: Estimate, first: str, second: str) -> str:
    from sparsebench.leaderboard.text import clean
    from sparsebench.statistics import LEVEL

    one, other = clean(first), clean(second)
    if found.error is None:
        return f"nothing is known of the error: {one} and {other} cannot be told apart"
    if found.seed_error is None:
        return f"one seed: the tests are about two trained models, not about {one} and {other}"
    if found.p_value is None and found.value == 0:
        return f"the same score, seed by seed: {one} and {other} cannot be separated"
    if found.p_value is None:
        return f"no seed and no example differs from another: {one} and {other} cannot be tested"
    if found.p_value > LEVEL:
        least = _score(found.detectable)
        return f"{one} and {other} cannot be separated; {least} could have been shown"
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
