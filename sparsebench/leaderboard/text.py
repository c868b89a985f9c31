"""Format numbers and names for people: one line, rounded, without control characters."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NOTHING = "—"
"""A missing number."""

MIB = 2**20


def clean(text: str, *, limit: int = 400) -> str:
    """Return text on one line, without control characters and others that do not print.

    Args:
        text: Any text.
        limit: Characters to keep; longer text ends in an ellipsis.
    """
    kept = (char if prints(char) else " " for char in text[: 2 * limit])
    line = " ".join("".join(kept).split())
    return line if len(line) <= limit else f"{line[:limit]}…"


def prints(char: str) -> bool:
    """Return whether a character is visible, or a space; control and format characters are not."""
    return unicodedata.category(char)[0] not in "CZ" or char == " "


def percent(score: float) -> str:
    """Return a score ×100 with one digit."""
    return f"{round(100 * score, 1) + 0.0:.1f}"


def share(value: float | None) -> str:
    """Return a share in per cent with one digit."""
    return NOTHING if value is None else f"{100 * value + 0.0:.1f} %"


def count(value: int | None) -> str:
    """Return a whole number with separators."""
    return NOTHING if value is None else f"{value:,}"


def significant(value: float, *, digits: int) -> str:
    """Return a number with so many significant digits, trailing zeros included."""
    rounded = float(f"{value:.{digits}g}")  # 999.9 becomes 1,000, not 1.00e+03
    if rounded == 0 or rounded >= 10**digits:
        return f"{value:,.0f}"
    return f"{value:#.{digits}g}".rstrip(".")


def seeds_in_words(seeds: Sequence[int]) -> str:
    """Return ``seed 1`` or ``seeds 1, 2``."""
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
