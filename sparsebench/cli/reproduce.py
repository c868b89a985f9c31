"""``sparsebench reproduce``: the figures of a paper beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparsebench.api import load_results
from sparsebench.api.console import activity
from sparsebench.cli.output import NOTHING, plain_console, print_table, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from sparsebench.api import Results
    from sparsebench.papers import Paper, PublishedTable
    from sparsebench.papers.exact import CheckedFigure
    from sparsebench.papers.scores import ComparedScore

FAILED = 1
"""Exit code if an exact figure differs."""


def reproduce(
    paper: Annotated[str, typer.Argument(metavar="PAPER", help="pst, dsee, deft or movement.")],
    results: Annotated[
        Path | None,
        typer.Argument(metavar="RESULTS", help="A folder of results; without it, none."),
    ] = None,
) -> None:
    """Compare the published figures of a paper with ours.

    Figures that require no training are counted now; the exit code is 1 if one differs. Tables of
    scores are compared with RESULTS; without it, they are listed with what they require.

    For example:

        sparsebench reproduce dsee
        sparsebench reproduce pst runs
    """
    from sparsebench.papers import load_paper

    known = load_paper(paper)
    read = load_results(results, warn=warn) if results else None
    console = plain_console()
    console.print(f"{known.title}\n{known.source}", style="bold")
    agreed = _exact(known, console)
    for table in known.tables:
        _table(table, read, console)
    if known.claims:
        console.print("\nClaims, listed and not checked")
        rows = [
            (claim.what, claim.value, _source(claim.source, recalled=claim.recalled))
            for claim in known.claims
        ]
        print_table(console, ("claim", "published", "source"), rows)
    if not agreed:
        raise typer.Exit(FAILED)


def _exact(paper: Paper, console: Console) -> bool:
    """Count and print the exact figures; return whether all agree."""
    if not paper.exact:
        return True
    from sparsebench.papers.exact import check_exact

    with activity("Counting"):
        checked = list(check_exact(paper.exact))
    console.print("\nExact figures, counted now")
    print_table(
        console,
        ("figure", "published", "ours", "verdict", "source"),
        [_exact_row(each) for each in checked],
    )
    wrong = sum(not each.agrees for each in checked)
    console.print(f"{len(checked) - wrong} of {len(checked)} agree")
    return not wrong


def _exact_row(each: CheckedFigure) -> tuple[str, ...]:
    figure = each.figure
    return (
        figure.what,
        _number(figure.value, figure.digits),
        _number(each.ours, figure.digits),
        "agrees" if each.agrees else "DIFFERS",
        _source(figure.source, recalled=figure.recalled),
    )


def _number(value: float, digits: int | None) -> str:
    return f"{value:,.0f}" if digits is None else f"{value:.{digits}g}"


def _table(table: PublishedTable, read: Results | None, console: Console) -> None:
    from sparsebench.papers.scores import Agreement, comparable, compare_scores
    from sparsebench.suite.files import find_suite, load_suite

    suite = load_suite(find_suite(table.suite)).suite if table.suite else None
    results = read.results if read else ()
    reader = read.read if read else (lambda _: None)
    held = list(compare_scores(table, results, suite=suite, read=reader))
    source = _source(table.source, recalled=table.recalled)
    console.print(f"\n{table.name}: {table.model}, {table.split}; {source}")
    console.print(f"settings: {table.settings}")
    print_table(
        console,
        ("method", "task", "metric", "paper", "ours", "difference", "95 % interval", "verdict"),
        [_held_row(each) for each in held],
    )
    others = sum(
        suite is not None and r.suite == suite.name and not comparable(r, suite) for r in results
    )
    if others:
        console.print(
            f"{others} {'result' if others == 1 else 'results'} left out: their backbone, "
            f"protocol, budget or settings differ from those of {table.suite}"
        )
    waiting = sum(each.agreement is Agreement.WAITING for each in held)
    if waiting:
        way = (
            f"'sparsebench run {table.suite}'" if table.suite else "a suite that does not exist yet"
        )
        console.print(f"{waiting} of {len(held)} wait for {way}: {table.waits_for}")


def _held_row(each: ComparedScore) -> Sequence[str]:
    labels = (each.method, each.task, each.metric, f"{each.published:.1f}")
    if each.ours is None:
        return (*labels, NOTHING, NOTHING, NOTHING, each.agreement.value)
    difference = 100 * each.ours.value
    interval = each.ours.interval
    return (
        *labels,
        f"{each.published + difference:.1f}",
        f"{difference:+.1f}",
        NOTHING if interval is None else f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}",
        each.agreement.value,
    )


def _source(source: str, *, recalled: bool) -> str:
    return f"{source} (recalled)" if recalled else source
