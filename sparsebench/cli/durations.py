"""Seconds in the words of a person."""

from __future__ import annotations

MINUTE = 60


def duration(seconds: float) -> str:
    """Returns seconds as ``40 s``, ``2 min`` or ``1 h 20 min``."""
    if seconds < 1.5 * MINUTE:
        return f"{max(1, round(seconds))} s"
    hours, minutes = divmod(round(seconds / MINUTE), 60)
    return " ".join(f"{n} {unit}" for n, unit in ((hours, "h"), (minutes, "min")) if n)
