"""The footnotes of a table: learning rates, budgets, machines, versions, dates and papers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparsebench.leaderboard.papers import paper_of
from sparsebench.leaderboard.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sparsebench.leaderboard.board import Row
    from sparsebench.leaderboard.details import RowDetails

VERSIONS = ("sparsebench", "torch", "transformers", "peft")
"""The packages whose versions a footnote names; those of all are in the page and in the records."""


def footnotes(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a note each on learning rates, budgets, machines, versions, dates and papers."""
    known = [(clean(row.name), row.details) for row in rows if row.details]
    rates = [(clean(row.name), _rate(row)) for row in rows]
    if any(rate for _, rate in rates):
        yield f"learning rates: {', '.join(f'{name} {rate}' for name, rate in rates if rate)}"
    for heading, value in _NOTES.items():
        yield from _note(heading, [(name, value(details)) for name, details in known])
    papers = dict.fromkeys((clean(row.method.name), paper_of(row.method)) for row in rows)
    if any(paper for _, paper in papers):
        yield f"papers: {', '.join(f'{name} {paper}' for name, paper in papers if paper)}"


def _note(heading: str, values: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield one text for all rows if they agree, else the names of the rows for each text."""
    by_text: dict[str, list[str]] = {}
    for name, value in values:
        if text := clean(value):
            by_text.setdefault(text, []).append(name)
    if len(by_text) == 1:
        yield f"{heading}: {next(iter(by_text))}"
    elif by_text:
        parts = (f"{text} ({', '.join(names)})" for text, names in by_text.items())
        yield f"{heading}: {'; '.join(parts)}"


def _rate(row: Row) -> str:
    value = row.method.settings.get("learning_rate")
    return f"{value:g}" if isinstance(value, (int, float)) else ""


def _budgets(details: RowDetails) -> str:
    by_budget: dict[str, list[str]] = {}
    for task, budget in details.budgets.items():
        by_budget.setdefault(budget, []).append(task)
    if len(by_budget) == 1:
        return next(iter(by_budget))
    return ", ".join(f"{budget} on {', '.join(tasks)}" for budget, tasks in by_budget.items())


def _versions(details: RowDetails) -> str:
    known = [(name, details.versions[name]) for name in VERSIONS if name in details.versions]
    return ", ".join(f"{name} {' and '.join(found)}" for name, found in known)


_NOTES: dict[str, Callable[[RowDetails], str]] = {
    "budget": _budgets,
    "machine": lambda details: ", ".join(details.machines),
    "versions": _versions,
    "dates": lambda details: " to ".join(dict.fromkeys(details.dates)),
}
"""The heading of a note -> the text of a row."""
