"""Numbers as the cells of a table show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from sparsebench.results.costs import FlopStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from sparsebench.results.costs import Flops, Latency

P = TypeVar("P")

NOTHING = "·"
"""What stands for a number that is not there."""

_MIB = 2**20


def cell(part: P | None, text: Callable[[P], str]) -> str:
    """Returns the text of a part of the costs; the sign for nothing where it is missing."""
    return NOTHING if part is None else text(part)


def verified(flops: Flops) -> str:
    """Returns the multiply-adds, with what makes them doubtful if anything does."""
    amount = giga(flops.matrix)
    if flops.status is FlopStatus.VERIFIED:
        return amount
    return f"{amount} unverified: {', '.join(flops.uncounted) or flops.reason}"


def count(value: int | None) -> str:
    """Returns a whole number."""
    return NOTHING if value is None else f"{value:,}"


def giga(value: int | None) -> str:
    """Returns a count in thousands of millions."""
    return NOTHING if value is None else f"{value / 1e9:.4f}"


def percent(value: float | None) -> str:
    """Returns a share in per cent."""
    return NOTHING if value is None else f"{100 * value:.1f} %"


def mib(value: int | None) -> str:
    """Returns bytes in MiB."""
    return NOTHING if value is None else significant(value / _MIB)


def ratio(latency: Latency | None) -> str:
    """Returns the headline ratio."""
    if latency is None or latency.ratio is None:
        return NOTHING
    return f"{latency.ratio:.3f}×"


def interval(latency: Latency | None) -> str:
    """Returns the interval of the headline ratio."""
    if latency is None or latency.interval is None:
        return NOTHING
    low, high = latency.interval
    return f"{low:.3f} to {high:.3f}"


def times_over(value: float | None) -> str:
    """Returns a factor."""
    return NOTHING if value is None else f"{value:.2f}×"


def significant(value: float) -> str:
    """Returns a number with three digits that count."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"  # noqa: PLR2004
