"""The events of a run: small messages that can be sent between processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progressed:
    """A run made progress.

    Attributes:
        key: The key of the run.
        phase: What the run is doing: ``load``, ``prepare``, ``train``, ``select``, ``deploy``,
            ``evaluate``, or ``profile`` and the part that is measured, ``profile latency``.
        done: Units done in this phase.
        total: Units in this phase; 0 if unknown.
        loss: The latest training loss, if any.
    """

    key: str
    phase: str
    done: int = 0
    total: int = 0
    loss: float | None = None


@dataclass(frozen=True)
class Started:
    """A run started in a worker."""

    key: str


@dataclass(frozen=True)
class Awaited:
    """Another command executes the run; this one waits for its result.

    Attributes:
        key: The key of the run.
        holder: The process that executes it, such as ``process 123 on node-1``; empty if unknown.
    """

    key: str
    holder: str = ""


@dataclass(frozen=True)
class Stopped:
    """A run was asked to stop: it has no result, and resumes from its checkpoint later.

    Attributes:
        key: The key of the run.
    """

    key: str


@dataclass(frozen=True)
class Finished:
    """A run ended, and its result is in the store.

    Attributes:
        key: The key of the run.
        status: A value of ``sparsebench.results.Status``.
        score: Its headline score, if any.
        reason: Why there is no score.
        seconds: Wall-clock time of the whole run.
    """

    key: str
    status: str
    score: float | None
    reason: str | None
    seconds: float


Event = Progressed | Started | Awaited | Stopped | Finished
Report = Callable[[Event], None]
"""Receives one event; called in the process that drives the runs."""
