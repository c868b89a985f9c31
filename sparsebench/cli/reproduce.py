"""``sparsebench reproduce``: what a paper publishes, beside what we count and measure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sparsebench.cli import folder
from sparsebench.cli.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsebench.cli.folder import Folder
    from sparsebench.papers import Paper, PublishedTable
    from sparsebench.papers.exact import Checked
    from sparsebench.papers.trained import Held

FAILED = 1
"""Exit code where a figure that must come out the same does not."""

NOTHING = "—"


def reproduce(
    paper: Annotated[str, typer.Argument(metavar="PAPER", help="pst, dsee, deft or movement.")],
    results: folder.MaybeResults = None,
) -> None:
    """Hold a paper's published figures against ours.

    What needs no training is counted here and now; the exit code is 1 where it differs. Tables of
    scores are held against RESULTS; without it, they are listed with what they wait for.
    """
    from sparsebench.papers import load_paper

    known = load_paper(paper)
    read = folder.read_folder(results) if results else None
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(f"{known.title}\n{known.source}", style="bold")
    agreed = _exact(known, console)
    for table in known.tables:
        _table(table, read, console)
    if known.claims:
        console.print("\nClaims, told and not checked")
        rows = [
            (claim.what, claim.value, _source(claim.source, recalled=claim.recalled))
            for claim in known.claims
        ]
        print_table(console, ("what", "published", "source"), rows)
    if not agreed:
        raise typer.Exit(FAILED)


def _exact(paper: Paper, console: Console) -> bool:
    """Counts and prints what must come out the same; returns whether it does."""
    if not paper.exact:
        return True
    from sparsebench.papers.exact import check_exact

    with console.status("Counting"):
        checked = list(check_exact(paper.exact))
    console.print("\nExact figures, counted now")
    print_table(
        console,
        ("what", "published", "ours", "verdict", "source"),
        [_exact_row(each) for each in checked],
    )
    wrong = sum(not each.agrees for each in checked)
    console.print(f"{len(checked) - wrong} of {len(checked)} agree")
    return not wrong


def _exact_row(each: Checked) -> tuple[str, ...]:
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


def _table(table: PublishedTable, read: Folder | None, console: Console) -> None:
    from sparsebench.papers.trained import Verdict, comparable, hold
    from sparsebench.suite.files import find_suite, load_suite

    suite = load_suite(find_suite(table.suite)).suite if table.suite else None
    results = read.results if read else ()
    reader = read.read if read else (lambda _: None)
    held = list(hold(table, results, suite=suite, read=reader))
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
            f"{others} {'result' if others == 1 else 'results'} left out: another backbone, "
            f"protocol, budget or setting than those of {table.suite}"
        )
    waiting = sum(each.verdict is Verdict.WAITING for each in held)
    if waiting:
        way = (
            f"'sparsebench run {table.suite}'" if table.suite else "a suite that is not written yet"
        )
        console.print(f"{waiting} of {len(held)} wait for {way}: {table.waits_for}")


def _held_row(each: Held) -> Sequence[str]:
    labels = (each.method, each.task, each.metric, f"{each.published:.1f}")
    if each.ours is None:
        return (*labels, NOTHING, NOTHING, NOTHING, each.verdict.value)
    difference = 100 * each.ours.value
    interval = each.ours.interval
    return (
        *labels,
        f"{each.published + difference:.1f}",
        f"{difference:+.1f}",
        NOTHING if interval is None else f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}",
        each.verdict.value,
    )


def _source(source: str, *, recalled: bool) -> str:
    return f"{source} (recalled)" if recalled else source
