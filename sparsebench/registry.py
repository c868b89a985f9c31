"""One lazy, typed registry over entry points, for methods, tasks and executors alike.

A plugin is a Python package that names an object under one of our entry-point groups:

    [project.entry-points."sparsebench.methods"]
    my_method = "my_package:MyMethod"

Nothing is imported until it is asked for, and a plugin that cannot be imported disturbs no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Generic, TypeVar

from sparsebench.errors import UnknownNameError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")


class BrokenPluginError(UserError):
    """A plugin that is installed but cannot be used."""


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One registered name.

    Attributes:
        name: The name users type.
        target: ``module:attribute``.
        package: The distribution that registers it, with its version.
        rivals: Other distributions that register the same name.
        check: Raises ``TypeError`` if the loaded object is not of the kind the group holds.
    """

    name: str
    target: str
    package: str
    rivals: tuple[str, ...]
    check: Callable[[object], T]
    point: EntryPoint

    def load(self) -> T:
        """Imports the object.

        Raises:
            BrokenPluginError: The name is taken twice, the import fails, or it is of another kind.
        """
        if self.error:
            raise BrokenPluginError(self.error)
        return self._outcome[0]  # type: ignore[return-value]

    @property
    def error(self) -> str | None:
        """Why the entry cannot be used, or None; imports it to find out."""
        if self.rivals:
            packages = " and ".join([self.package, *self.rivals])
            return f"the name {self.name!r} is registered by {packages}: uninstall all but one"
        return self._outcome[1]

    @cached_property
    def _outcome(self) -> tuple[T | None, str | None]:
        try:
            return self.check(self.point.load()), None
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may fail in any way
            reason = f"{type(error).__name__}: {error}"
            return None, f"{self.name!r} ({self.target}, of {self.package}) failed: {reason}"


class Registry(Generic[T]):
    """The objects of one entry-point group, by name.

    Args:
        group: The entry-point group, such as ``"sparsebench.methods"``.
        kind: What one of them is called in messages, such as ``"method"``.
        check: Returns the loaded object, or raises ``TypeError`` if it is none of the kind.
        points: The entry points to read; by default those of the installed packages.
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
        """Every registered name in alphabetical order, loaded or not."""
        claims: dict[str, dict[str, EntryPoint]] = {}
        for point in self._points():
            claims.setdefault(point.name, {}).setdefault(_package(point), point)
        return {name: self._entry(name, claims[name]) for name in sorted(claims)}

    def _entry(self, name: str, claims: dict[str, EntryPoint]) -> Entry[T]:
        package, *rivals = sorted(claims)
        point = claims[package]
        return Entry(
            name=name,
            target=point.value,
            package=package,
            rivals=tuple(rivals),
            check=self._check,
            point=point,
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def get(self, name: str, *, where: str | None = None) -> T:
        """Returns the object registered under a name.

        Args:
            name: The registered name.
            where: Where the name was given, for the message, such as ``"glue.yaml:12"``.

        Raises:
            UnknownNameError: Nothing is registered under the name.
            BrokenPluginError: What is registered cannot be used.
        """
        if name not in self.entries:
            raise UnknownNameError(self.kind, name, known=self.entries, where=where)
        return self.entries[name].load()


def _package(point: EntryPoint) -> str:
    dist = point.dist
    return f"{dist.name} {dist.version}" if dist else "an unknown package"
