"""``sparsebench check``: check that a method keeps the contract."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparsebench.api.console import activity
from sparsebench.cli import options
from sparsebench.cli.output import plain_console, print_table
from sparsebench.errors import UnknownNameError, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from sparsebench.conformance import CheckResult
    from sparsebench.method import Method
    from sparsebench.models import Family

FAILED = 1
"""Exit code if a check fails."""

BROKEN = 2
"""Exit code if a method cannot be used at all, as for every mistake of a user."""


@dataclass(frozen=True)
class _Scope:
    """The families and the checks to run.

    Attributes:
        families: The families of backbones.
        only: The names of the checks; None for all.
    """

    families: tuple[Family, ...]
    only: list[str] | None


def check(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A method of 'sparsebench list methods'.")
    ] = None,
    *,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting of the method, such as r=16; repeatable.",
        ),
    ] = None,
    families: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Check only these of bert, roberta, gpt2, t5."),
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="A,B", help="Run only these checks of --list.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Check every installed method.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="List the checks and exit.")] = False,
) -> None:
    """Check that a method keeps the contract, on tiny random backbones, in seconds.

    A check passes or fails. It is 'expected' if it fails and the method lists it in
    expected_failures, and 'not applicable' if the method makes no such claim. The exit code is 0 if
    no check fails, 1 if one fails, and 2 if the method cannot be used.

    For example:

        sparsebench check lora --set r=16
        sparsebench check --all --families bert,t5
    """
    console = plain_console()
    if list_:
        _list(console)
        return
    if all_ == (name is not None):
        raise UserError("name one method, or use --all")
    if all_ and sets:
        raise UserError("--set changes the settings of one method: name it instead of --all")
    scope = _Scope(_families(families), options.words("--only", only))
    if name is not None:
        raise typer.Exit(_check_one(console, name, _settings(sets or [], name=name), scope))
    raise typer.Exit(_check_all(console, scope))


def _list(console: Console) -> None:
    from sparsebench.conformance import CHECKS

    rows = [(check.name, check.applies_to, check.description) for check in CHECKS]
    print_table(console, ("check", "applies to", "requirement"), rows)


def _check_one(console: Console, name: str, settings: dict[str, Any], scope: _Scope) -> int:
    from sparsebench.method_registry import configure

    results = _results(name, configure(name, settings), scope)
    rows = [(result.check.name, result.outcome.value, result.note) for result in results]
    print_table(console, ("check", "outcome", "reason"), rows)
    console.print(f"\n{name}: {_tally(results)}")
    return FAILED if _failed(results) else 0


def _check_all(console: Console, scope: _Scope) -> int:
    """Check every installed method; show a line for each, and its failures."""
    from sparsebench.method_registry import METHODS, configure

    worst = 0
    for name, entry in METHODS.entries.items():
        if entry.error:
            console.print(f"{name}: cannot be used: {entry.error}", style="red")
            worst = BROKEN
            continue
        results = _results(name, configure(name, {}), scope)
        failed = _failed(results)
        console.print(f"{name}: {_tally(results)}", style="red" if failed else None)
        for result in results:
            if result.outcome in {"fail", "expected"}:
                line = f"    {result.check.name}: {result.outcome}: {result.note}"
                console.print(line)
        worst = max(worst, FAILED if failed else 0)
    return worst


def _results(name: str, method: Method, scope: _Scope) -> list[CheckResult]:
    import torch

    from sparsebench.conformance import CHECKS, MethodUnderTest, check_method

    torch.set_num_threads(1)  # the backbones are tiny
    under_test = MethodUnderTest(method, name=name, families=scope.families)
    names = [check.name for check in CHECKS if scope.only is None or check.name in scope.only]
    results: list[CheckResult] = []
    with activity(f"{name}: starting") as show:
        for result in check_method(under_test, scope.only):
            results.append(result)
            done = len(results)
            show(f"{name}: {done} of {len(names)} {' '.join(names[done : done + 1])}")
    return results


def _failed(results: Sequence[CheckResult]) -> bool:
    return any(result.outcome == "fail" for result in results)


def _tally(results: Sequence[CheckResult]) -> str:
    counts = Counter(result.outcome.value for result in results)
    words = {"pass": "passed", "fail": "failed", "expected": "failed as expected"}
    parts = [f"{counts[key]} {words.get(key, key)}" for key in sorted(counts, key=_ORDER.index)]
    return ", ".join(parts)


_ORDER = ("pass", "fail", "expected", "not applicable")


def _families(text: str | None) -> tuple[Family, ...]:
    from sparsebench.models import BUILT_IN_FAMILIES, Family

    names = options.words("--families", text)
    if names is None:
        return BUILT_IN_FAMILIES
    for name in names:
        if name not in BUILT_IN_FAMILIES:
            raise UnknownNameError("family", name, known=BUILT_IN_FAMILIES, where="--families")
    return tuple(Family(name) for name in names)


def _settings(sets: Sequence[str], *, name: str) -> dict[str, Any]:
    """Read settings, each ``key=value`` or ``key.key=value``, the value as in YAML.

    The method's name may precede them, as in a suite.
    """
    from sparsebench.suite import yamlfile

    settings: dict[str, Any] = {}
    for text in sets:
        key, equals, written = text.partition("=")
        *path, last = key.strip().removeprefix(f"{name}.").split(".")
        if not equals or not last:
            raise UserError(f"--set {text}: write it as KEY=VALUE, such as r=16")
        inner = settings
        for part in path:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise UserError(f"--set {text}: {part!r} is set to a value that has no keys")
        inner[last] = yamlfile.parse(written, name=f"--set {text}").data
    return settings
