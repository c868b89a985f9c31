"""What a run says while it goes: small messages that can cross to another process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progressed:
    """A run moved on.

    Attributes:
        key: The key of the run.
        phase: What it is doing: ``load``, ``prepare``, ``train``, ``select``, ``deploy``,
            ``evaluate`` or ``profile``.
        done: Units done in this phase.
        total: Units in this phase; 0 where that is unknown.
        loss: The latest training loss, where there is one.
    """

    key: str
    phase: str
    done: int = 0
    total: int = 0
    loss: float | None = None


@dataclass(frozen=True)
class Started:
    """A run began, in a worker of its own."""

    key: str


@dataclass(frozen=True)
class Awaited:
    """Another command is making a run; its result is waited for."""

    key: str


@dataclass(frozen=True)
class Finished:
    """A run ended and its result is in the store.

    Attributes:
        key: The key of the run.
        status: A value of ``sparsebench.results.Status``.
        score: Its headline score, if it has one.
        reason: Why not, if it has none.
        seconds: Wall-clock time of the whole run.
    """

    key: str
    status: str
    score: float | None
    reason: str | None
    seconds: float


Event = Progressed | Started | Awaited | Finished
Report = Callable[[Event], None]
"""Takes one event; called from the process that drives the runs."""
