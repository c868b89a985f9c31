"""Schedules in shares of the run, so that they are the same for a short run and a long one."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """A value that moves from ``initial`` to ``final`` between two points of the run.

    Between them, with x growing from 0 at ``start`` to 1 at ``end``, the value is
    ``final + (initial - final) * (1 - x) ** power``: the cubic schedule of Zhu and Gupta
    (arXiv:1710.01878) for a power of 3, a straight line for 1.

    Attributes:
        initial: The value before ``start``.
        final: The value from ``end`` on, exactly.
        start: The share of the run at which the value begins to change.
        end: The share of the run at which it is final; equal to ``start`` for a single step.
        power: The exponent; the higher, the earlier the value changes.
        every: The share of the run between two changes; 0 to change at every step.
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
        """Return the value at ``progress``, the finished share of the run in [0, 1]."""
        if self.is_final(progress):
            return self.final
        if self.every:
            progress = self.every * math.floor(progress / self.every + 1e-9)
        if progress <= self.start:
            return self.initial
        left = (self.end - progress) / (self.end - self.start)
        return self.final + (self.initial - self.final) * float(left**self.power)

    def is_final(self, progress: float) -> bool:
        """Whether the value is final at ``progress``, the finished share of the run."""
        return progress >= self.end
