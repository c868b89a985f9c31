"""``sparsebench list methods --matrix``: which method works on which family, for which tasks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sparsebench.cli.output import print_table
from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from sparsebench.method import Method
    from sparsebench.models import Family, Form

YES = "yes"
"""The cell of a method that works for all tasks of a family."""


def matrix_rows() -> list[dict[str, str | None]]:
    """Return a row for every method, or variant of one, and every family and group of tasks.

    Returns:
        The columns ``method``, ``family``, ``tasks``, ``form``, and ``refused``: the reason why the
        method cannot work there, None if it can.
    """
    places = list(_places())
    return [
        {
            "method": name,
            "family": str(family),
            "tasks": group,
            "form": str(form),
            "refused": _refused(method, family, form),
        }
        for name, method in _methods()
        for family, group, form in places
    ]


def print_matrix(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a line for each method and a column for each family, with the reasons below."""
    families = list(dict.fromkeys(row["family"] for row in rows))
    numbers: dict[str, int] = {}
    cells: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for row in rows:
        cells.setdefault(row["method"], {}).setdefault(row["family"], []).append(row)
    lines = [
        [method, *(_cell(by_family.get(family, []), numbers) for family in families)]
        for method, by_family in cells.items()
    ]
    print_table(console, ["method", *families], lines)
    if numbers:
        console.print()
    for reason, number in numbers.items():
        console.print(f"{number}  {reason}", soft_wrap=True)


def _cell(rows: Sequence[Mapping[str, Any]], numbers: dict[str, int]) -> str:
    """Return the groups of tasks that a method works for, and the numbers of the reasons."""
    refused = list(dict.fromkeys(_reason(row) for row in rows if row["refused"]))
    if not refused:
        return YES
    works = ", ".join(row["tasks"] for row in rows if not row["refused"])
    marks = ", ".join(str(numbers.setdefault(reason, len(numbers) + 1)) for reason in refused)
    return f"{works or 'no'} ({marks})"


def _reason(row: Mapping[str, Any]) -> str:
    """Return the reason without the name of the variant, so that variants share it."""
    _, _, variant = row["method"].partition(": ")
    reason: str = row["refused"]
    return re.sub(rf"\b{re.escape(variant)}\b", "it", reason) if variant else reason


def _places() -> Iterator[tuple[Family, str, Form]]:
    """Yield every family, group of tasks and form that fit; tasks of a group with one form once."""
    from sparsebench.models import FAMILIES, Family
    from sparsebench.tasks import TASKS
    from sparsebench.tasks.base import NotApplicableError

    tasks = [entry.load() for entry in TASKS.entries.values() if not entry.error]
    found: dict[tuple[Family, str, Form], None] = {}
    for family in map(Family, FAMILIES):
        for task in tasks:
            if task.group == "quick":  # the toy tasks have the forms of the real ones
                continue
            try:
                found[family, task.group, task.form_for(family)] = None
            except NotApplicableError:
                continue
    yield from found


def _methods() -> Iterator[tuple[str, Method]]:
    from sparsebench.method_registry import METHODS, configure

    for name, entry in METHODS.entries.items():
        if entry.error:
            continue  # `list methods` shows it
        variants = entry.load().variants() or {"": {}}
        for variant, settings in variants.items():
            yield f"{name}: {variant}" if variant else name, configure(name, settings)


def _refused(method: Method, family: Family, form: Form) -> str | None:
    from sparsebench.method_registry import refusal

    try:
        return refusal(method, family, form)
    except UserError as error:
        return str(error)
