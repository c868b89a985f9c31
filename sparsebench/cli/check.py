"""``sparsebench check``: whether a method keeps the contract, one named check after another."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from sparsebench.cli import options
from sparsebench.cli.tables import print_table
from sparsebench.errors import UnknownNameError, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsebench.conformance import Finding
    from sparsebench.method import Method
    from sparsebench.models import Family

FAILED = 1
"""Exit code where a check fails."""

BROKEN = 2
"""Exit code where a method cannot be used at all, as for every mistake of a user."""


@dataclass(frozen=True)
class _Terms:
    """What to check on.

    Attributes:
        families: The families of backbones.
        only: The names of the checks; None for all.
    """

    families: tuple[Family, ...]
    only: list[str] | None


def check(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A method that 'list methods' shows.")
    ] = None,
    *,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting of the method, such as r=16; may be repeated.",
        ),
    ] = None,
    families: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Only these of bert, roberta, gpt2, t5; all by default."),
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these of the checks that --list shows.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Check every installed method.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Only say what is checked.")] = False,
) -> None:
    """Check that a method keeps the contract, on tiny random backbones; takes seconds.

    A check passes or fails; it is 'expected' to fail where the method says so, and 'not
    applicable' where the method claims nothing of the kind. Ends with 0 if none fails, else 1.
    """
    console = Console(soft_wrap=True, highlight=False)
    if list_:
        _list(console)
        return
    if all_ == (name is not None):
        raise UserError("name one method, or say --all")
    if all_ and sets:
        raise UserError("--set changes the settings of one method: name it instead of --all")
    terms = _Terms(_families(families), options.words("--only", only))
    if name is not None:
        raise typer.Exit(_check_one(console, name, _settings(sets or [], name=name), terms))
    raise typer.Exit(_check_all(console, terms))


def _list(console: Console) -> None:
    from sparsebench.conformance import CHECKS

    rows = [(check.name, check.applies_to, check.description) for check in CHECKS]
    print_table(console, ("check", "applies to", "what it asks"), rows)


def _check_one(console: Console, name: str, settings: dict[str, Any], terms: _Terms) -> int:
    from sparsebench.method_registry import configure

    findings = _findings(console, name, configure(name, settings), terms)
    rows = [(found.check.name, found.status.value, found.note) for found in findings]
    print_table(console, ("check", "outcome", "why"), rows)
    console.print(f"\n{name}: {_tally(findings)}", markup=False)
    return FAILED if _failed(findings) else 0


def _check_all(console: Console, terms: _Terms) -> int:
    """Checks every installed method; shows only what there is to tell."""
    from sparsebench.method_registry import METHODS, configure

    worst = 0
    for name, entry in METHODS.entries.items():
        if entry.error:
            console.print(f"{name}: cannot be used: {entry.error}", style="red", markup=False)
            worst = BROKEN
            continue
        findings = _findings(console, name, configure(name, {}), terms)
        failed = _failed(findings)
        console.print(f"{name}: {_tally(findings)}", style="red" if failed else None, markup=False)
        for found in findings:
            if found.status in {"fail", "expected"}:
                line = f"    {found.check.name}: {found.status}: {found.note}"
                console.print(line, markup=False)
        worst = max(worst, FAILED if failed else 0)
    return worst


def _findings(console: Console, name: str, method: Method, terms: _Terms) -> list[Finding]:
    import torch

    from sparsebench.conformance import CHECKS, MethodUnderTest, check_method

    torch.set_num_threads(1)  # the backbones are tiny
    subject = MethodUnderTest(method, name=name, families=terms.families)
    names = [check.name for check in CHECKS if terms.only is None or check.name in terms.only]
    findings: list[Finding] = []
    with console.status("") as status:
        status.update(name)
        for found in check_method(subject, terms.only):
            findings.append(found)
            done = len(findings)
            status.update(f"{name}: {done} of {len(names)} {' '.join(names[done : done + 1])}")
    return findings


def _failed(findings: Sequence[Finding]) -> bool:
    return any(found.status == "fail" for found in findings)


def _tally(findings: Sequence[Finding]) -> str:
    counts = Counter(found.status.value for found in findings)
    words = {"pass": "passed", "fail": "failed", "expected": "failed as expected"}
    parts = [f"{counts[key]} {words.get(key, key)}" for key in sorted(counts, key=_ORDER.index)]
    return ", ".join(parts)


_ORDER = ("pass", "fail", "expected", "not applicable")


def _families(text: str | None) -> tuple[Family, ...]:
    from sparsebench.models import Family

    names = options.words("--families", text)
    if names is None:
        return tuple(Family)
    known = [family.value for family in Family]
    for name in names:
        if name not in known:
            raise UnknownNameError("family", name, known=known, where="--families")
    return tuple(Family(name) for name in names)


def _settings(sets: Sequence[str], *, name: str) -> dict[str, Any]:
    """Reads settings, each ``key=value`` or ``key.key=value``, the value as in YAML.

    The method's name may stand before them, as where a suite has several methods.
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
