"""Schedules in shares of the run, so that they mean the same on a small task and on a large one."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """A value that moves from ``initial`` to ``final`` between two points of the run.

    In between, with x the share of that way that is done, it is
    ``final + (initial - final) * (1 - x) ** power``: the cubic schedule of Zhu and Gupta
    (arXiv:1710.01878) at a power of 3, a straight line at 1.

    Attributes:
        initial: The value before ``start``.
        final: The value from ``end`` on, exactly.
        start: The share of the run at which it begins to move.
        end: The share of the run at which it has arrived; equal to ``start`` for a single step.
        power: How much earlier than late it moves.
        every: Moves only when so much of the run has passed again; 0 for at every step.
    """

    initial: float
    final: float
    start: float = 0.0
    end: float = 1.0
    power: float = 3.0
    every: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end <= 1:
            raise ValueError(f"a schedule from {self.start} to {self.end} of the run")

    def at(self, progress: float) -> float:
        """Returns the value when ``progress`` of the run, in [0, 1], is done."""
        if self.is_final(progress):
            return self.final
        if self.every:
            progress = self.every * math.floor(progress / self.every + 1e-9)
        if progress <= self.start:
            return self.initial
        left = (self.end - progress) / (self.end - self.start)
        return self.final + (self.initial - self.final) * float(left**self.power)

    def is_final(self, progress: float) -> bool:
        """Whether the schedule has arrived when ``progress`` of the run is done."""
        return progress >= self.end
