r"""One lazy, typed registry over entry points, for methods, tasks, runtimes and executors.

    METHODS: Registry[type[Method]] = Registry("sparsebench.methods", kind="method", check=check)
    METHODS.get("lora")                  the class; imports its module
    METHODS.entries["lora"].package      "sparsebench 0.1.0"; imports nothing

A plugin is a Python package that names an object under one of these entry-point groups:

    [project.entry-points."sparsebench.methods"]
    my_method = "my_package:MyMethod"

A module is imported only when one of its names is used. A plugin of another package is first
imported in a process of its own with a time limit, so that an import that crashes, hangs or exits
is an error with a reason and does not affect other plugins.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Generic, TypeVar

from sparsebench.errors import UnknownNameError, UserError, describe, printable, suggestion
from sparsebench.registry.probes import IMPORT_LIMIT, Probes, is_own

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["GROUPS", "IMPORT_LIMIT", "BrokenPluginError", "Entry", "Registry", "unknown_groups"]

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+:-]*")
_LONGEST_REASON = 300

GROUPS = tuple(
    f"sparsebench.{kind}" for kind in ("executors", "families", "methods", "runtimes", "tasks")
)
"""The entry-point groups of plugins."""


class BrokenPluginError(UserError):
    """A plugin that is installed but cannot be used."""


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One registered name.

    Attributes:
        name: The name, in printable characters.
        target: ``module:attribute``.
        package: The distribution that registers it, with its version.
        check: Returns the loaded object, or raises ``TypeError`` if it is of the wrong kind.
        point: The entry point.
        problem: Why the name cannot be used, whatever its target is; None if it can.
        probes: The probes of all entries of the registry.
    """

    name: str
    target: str
    package: str
    check: Callable[[object], T]
    point: EntryPoint
    problem: str | None = None
    probes: Probes = field(default_factory=lambda: Probes(()), repr=False)

    def load(self) -> T:
        """Import the object.

        Raises:
            BrokenPluginError: The name is invalid or registered twice, the import fails, or the
                object is of the wrong kind.
        """
        if "_outcome" not in vars(self):
            self.probes.start(self.point)
        if self.error:
            raise BrokenPluginError(self.error)
        return self._outcome[0]  # type: ignore[return-value]

    @property
    def error(self) -> str | None:
        """Why the entry cannot be used, or None; imports it to find out."""
        return self.problem or self._outcome[1]

    @cached_property
    def _outcome(self) -> tuple[T | None, str | None]:
        reason = self.probes.failure(self.point)
        if reason is None:
            try:
                with contextlib.nullcontext() if is_own(self.point) else _without_output():
                    return self.check(self.point.load()), None
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may fail in any way
                reason = describe(error)
        reason = _one_line(reason)
        return None, f"{self.name!r} ({self.target}, of {self.package}) failed: {reason}"


class Registry(Generic[T]):
    """The objects of one entry-point group, by name.

    Args:
        group: The entry-point group, such as ``"sparsebench.methods"``.
        kind: The kind of the objects in messages, such as ``"method"``.
        check: Returns the loaded object, or raises ``TypeError`` if it is of the wrong kind.
        points: Returns the entry points; by default those of the installed packages.
    """

    def __init__(
        self,
        group: str,
        *,
        kind: str,
        check: Callable[[object], T],
        points: Callable[[], Iterable[EntryPoint]] | None = None,
    ) -> None:
        self.group = group
        self.kind = kind
        self._check = check
        self._points = points or (lambda: entry_points(group=group))

    @cached_property
    def entries(self) -> dict[str, Entry[T]]:
        """Every registered name in alphabetical order; nothing is imported.

        An invalid name is in quotes, with its characters escaped, and its entry has an error.
        """
        claims: dict[str, dict[str, EntryPoint]] = {}
        for point in self._points():
            claims.setdefault(point.name, {}).setdefault(_package(point), point)
        probes = Probes([point for of_name in claims.values() for point in of_name.values()])
        entries = [self._entry(name, by_package, probes) for name, by_package in claims.items()]
        return {entry.name: entry for entry in sorted(entries, key=lambda entry: entry.name)}

    def _entry(self, name: str, claims: dict[str, EntryPoint], probes: Probes) -> Entry[T]:
        package, *rivals = sorted(claims)
        point, problem, shown = claims[package], None, name
        if not _NAME.fullmatch(name):
            shown = f"'{printable(name)}'"
            problem = (
                f"the name {shown}, registered by {package}, is invalid: a name has "
                "letters, digits, '.', '_', '+', ':' and '-', and begins with a letter or a digit"
            )
        elif rivals:
            packages = " and ".join([package, *rivals])
            problem = f"the name {name!r} is registered by {packages}: uninstall all but one"
        return Entry(
            name=shown,
            target=printable(point.value),
            package=package,
            check=self._check,
            point=point,
            problem=problem,
            probes=probes,
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def get(self, name: str, *, where: str | None = None) -> T:
        """Return the object registered under a name.

        Args:
            name: The registered name.
            where: The place of the name for the message, such as ``"glue.yaml:12"``.

        Raises:
            UnknownNameError: The name is not registered.
            BrokenPluginError: The registered object cannot be used.
        """
        if name not in self.entries:
            raise UnknownNameError(self.kind, name, known=self.entries, where=where)
        return self.entries[name].load()


def unknown_groups() -> list[str]:
    """Return a message for each entry point of an installed package whose group has a typo.

    The packages of the groups ``sparsebench.x`` are found by no registry, unless x is one of
    ``GROUPS``.
    """
    return [
        f"{printable(point.name)!r} of {_package(point)} is registered under "
        f"{printable(group)!r}, which is no group of plugins{suggestion(group, GROUPS)}"
        for group in sorted(entry_points().groups)
        if re.match(r"sparsebench[._-]", group) and group not in GROUPS
        for point in entry_points(group=group)
    ]


@contextlib.contextmanager
def _without_output() -> Iterator[None]:
    """Redirect standard output to standard error: a plugin that prints must not break JSON."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, ValueError, AttributeError):  # one of them is closed
            sys.stdout.flush()
            stack.callback(os.close, saved := os.dup(1))
            stack.callback(os.dup2, saved, 1)
            os.dup2(2, 1)
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield


def _package(point: EntryPoint) -> str:
    dist = point.dist
    return printable(f"{dist.name} {dist.version}") if dist else "an unknown package"


def _one_line(text: str) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}…"
