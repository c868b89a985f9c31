"""Imports of third-party plugins in processes of their own, to find out whether they are safe."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.metadata import EntryPoint
    from typing import IO

IMPORT_LIMIT = "SPARSEBENCH_IMPORT_SECONDS"
"""The environment variable with the most seconds that importing a plugin may take."""

_LIMIT_OF_ONE = 120.0
"""The limit for a plugin that the user has named: on a slow network disk, imports take minutes."""

_LIMIT_OF_ALL = 30.0
"""The limit for each plugin when all are listed."""

_OWN = ("sparsebench", "sparsebench_methods")
"""The packages whose entry points need no probe."""

_MOST_PROBES = 16
"""The most probes that run at the same time."""

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
        reason = f"{type(error).__name__}: {error}".removesuffix(": ")
    except BaseException:
        reason = type(error).__name__
report.write(json.dumps([reason and reason[:1000]]))
report.flush()
os._exit(0)
"""
"""The program of a probe: imports one entry point and writes ``[null]`` or ``["the reason"]``."""


@dataclass
class _Probe:
    """The import of one entry point in a process of its own.

    Attributes:
        process: The process.
        report: The file that it writes to.
        limit: The seconds that the import may take.
        deadline: The time on the monotonic clock at which they are over.
    """

    process: subprocess.Popen[bytes]
    report: IO[bytes]
    limit: float
    deadline: float

    def failure(self) -> str | None:
        """Wait for the process, and return why the import fails, or None."""
        try:
            code = self.process.wait(max(0.0, self.deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return f"its import takes more than {self.limit:g} s ({IMPORT_LIMIT} sets this limit)"
        self.report.seek(0)
        try:
            (reason,) = json.loads(self.report.read(2**20))
        except (ValueError, TypeError):
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            return f"its import ends the process with {how}"
        return None if reason is None else str(reason)

    def end(self) -> None:
        """End the process and those that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.report.close()


class Probes:
    """Imports of third-party entry points in processes of their own, at most one per target.

    They run at the same time, so that the waiting times of slow ones do not add up.

    Args:
        points: All entry points of a registry.
    """

    def __init__(self, points: Iterable[EntryPoint]) -> None:
        self._points = list(points)
        self._running: dict[str, _Probe] = {}
        self._failures: dict[str, str | None] = {}

    def start(self, point: EntryPoint, *, default_limit: float = _LIMIT_OF_ONE) -> None:
        """Start to import an entry point, unless it needs no probe or has one.

        Args:
            point: The entry point.
            default_limit: The seconds that its import may take, unless the environment sets them.
        """
        if point.value in self._failures or point.value in self._running or _is_safe(point):
            return
        report = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the probe has ended
        paths, limit = [str(path) for path in sys.path], _import_limit(default_limit)
        given = json.dumps([paths, point.name, point.value, point.group, int(limit)])
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROBE, given],
            stdin=subprocess.DEVNULL,
            stdout=report,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._running[point.value] = _Probe(process, report, limit, time.monotonic() + limit)

    def failure(self, point: EntryPoint) -> str | None:
        """Return why the import of an entry point fails, or None.

        If it was not started, the others start with it, as the caller probably lists them all.
        """
        if _is_safe(point):
            return None
        if point.value not in self._failures and point.value not in self._running:
            for other in (point, *self._points):
                if len(self._running) < _MOST_PROBES:
                    self.start(other, default_limit=_LIMIT_OF_ALL)
        if point.value in self._running:
            probe = self._running.pop(point.value)
            try:
                self._failures[point.value] = probe.failure()
            finally:
                probe.end()
        return self._failures[point.value]


def _is_safe(point: EntryPoint) -> bool:
    """Return whether importing an entry point here can do no harm that a probe would avoid.

    Nothing is probed in a child process of ours: each run has its own process anyway.
    """
    imported = point.value.partition(":")[0].strip() in sys.modules
    return imported or is_own(point) or multiprocessing.parent_process() is not None


def is_own(point: EntryPoint) -> bool:
    """Return whether an entry point is one of ours."""
    return point.value.partition(":")[0].strip().partition(".")[0] in _OWN


def _import_limit(default: float) -> float:
    try:
        return max(1.0, min(float(os.environ[IMPORT_LIMIT]), 1e6))
    except (KeyError, ValueError):
        return default
