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
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Generic, TypeVar

from sparsebench.errors import UnknownNameError, UserError, describe, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO

T = TypeVar("T")

IMPORT_LIMIT = "SPARSEBENCH_IMPORT_SECONDS"
"""The environment variable with the most seconds that importing a plugin may take."""

_DEFAULT_LIMIT = 30.0
_OWN = ("sparsebench", "sparsebench_methods")
"""The packages whose entry points need no probe."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+:-]*")
_LONGEST_REASON = 300
_MOST_PROBES = 16
"""The most probes that run at the same time."""


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
    probes: _Probes = field(default_factory=lambda: _Probes(()), repr=False)

    def load(self) -> T:
        """Import the object.

        Raises:
            BrokenPluginError: The name is invalid or registered twice, the import fails, or the
                object is of the wrong kind.
        """
        if "_outcome" not in vars(self):
            self.probes.start(self.point)  # this one alone
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
                with contextlib.nullcontext() if _is_own(self.point) else _without_output():
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
        probes = _Probes([point for of_name in claims.values() for point in of_name.values()])
        entries = [self._entry(name, by_package, probes) for name, by_package in claims.items()]
        return {entry.name: entry for entry in sorted(entries, key=lambda entry: entry.name)}

    def _entry(self, name: str, claims: dict[str, EntryPoint], probes: _Probes) -> Entry[T]:
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


_PROBE = """
import importlib.metadata, json, os, signal, sys
sys.path[:], name, value, group, limit = json.loads(sys.argv[1])
signal.alarm(limit + 5)  # in case the parent ends before it can end this process
report = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)
try:
    importlib.metadata.EntryPoint(name, value, group).load()
    reason = None
except BaseException as error:
    try:
        reason = f"{type(error).__name__}: {error}"
    except BaseException:
        reason = type(error).__name__
report.write(json.dumps([reason and reason[:1000]]))
report.flush()
os._exit(0)
"""
"""The program of a probe: imports one entry point and writes ``[null]`` or ``["the reason"]``."""


class _Probes:
    """Imports of third-party entry points in processes of their own, at most one per target.

    They run at the same time, so that the waiting times of slow ones do not add up.

    Args:
        points: All entry points of a registry.
    """

    def __init__(self, points: Iterable[EntryPoint]) -> None:
        self._points = list(points)
        self._running: dict[str, tuple[subprocess.Popen[bytes], IO[bytes], float]] = {}
        self._failures: dict[str, str | None] = {}

    def start(self, point: EntryPoint) -> None:
        """Start to import an entry point, unless it needs no probe or has one."""
        if point.value in self._failures or point.value in self._running or _is_safe(point):
            return
        report = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the probe has ended
        limit = _import_limit()
        paths = [str(path) for path in sys.path]
        given = json.dumps([paths, point.name, point.value, point.group, int(limit)])
        process = subprocess.Popen(
            [sys.executable, "-c", _PROBE, given],
            stdin=subprocess.DEVNULL,
            stdout=report,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._running[point.value] = (process, report, time.monotonic() + limit)

    def failure(self, point: EntryPoint) -> str | None:
        """Return why the import of an entry point fails, or None.

        If it was not started, the others start with it, as the caller probably lists them all.
        """
        if _is_safe(point):
            return None
        if point.value not in self._failures and point.value not in self._running:
            for other in (point, *self._points):
                if len(self._running) < _MOST_PROBES:
                    self.start(other)
        if point.value in self._running:
            process, report, deadline = self._running[point.value]
            try:
                self._failures[point.value] = _wait(process, report, deadline)
            finally:
                _end(process)
                report.close()
                del self._running[point.value]
        return self._failures[point.value]


def _is_safe(point: EntryPoint) -> bool:
    """Return whether importing an entry point here can do no harm that a probe would avoid.

    Nothing is probed in a child process of ours: each run has its own process anyway.
    """
    imported = point.value.partition(":")[0].strip() in sys.modules
    return imported or _is_own(point) or multiprocessing.parent_process() is not None


def _is_own(point: EntryPoint) -> bool:
    return point.value.partition(":")[0].strip().partition(".")[0] in _OWN


def _wait(process: subprocess.Popen[bytes], report: IO[bytes], deadline: float) -> str | None:
    """Wait for a probe and return why the import fails, or None."""
    try:
        code = process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return (
            f"its import takes more than {_import_limit():g} s (set {IMPORT_LIMIT} to allow more)"
        )
    report.seek(0)
    try:
        (reason,) = json.loads(report.read(2**20))
    except ValueError:
        if code < 0:
            return f"its import ends the process with {signal.Signals(-code).name}"
        return f"its import ends the process with exit code {code}"
    return None if reason is None else str(reason)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a probe and the processes that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _import_limit() -> float:
    try:
        return max(1.0, min(float(os.environ[IMPORT_LIMIT]), 1e6))
    except (KeyError, ValueError):
        return _DEFAULT_LIMIT


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
