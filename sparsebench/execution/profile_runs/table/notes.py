"""What must be known to read a section: what is missing and why, and what the numbers are of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparsebench.leaderboard.text import clean
from sparsebench.results.records import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sparsebench.results.profiles import ProfileResult

_LIMIT = 2000
"""The most characters of a note: it may name every method."""


def label(result: ProfileResult) -> str:
    """Returns what a row is called."""
    return clean(result.spec.method.label if result.spec.method else "deployed")


def notes(group: Sequence[ProfileResult]) -> Iterator[str]:
    """Yields the notes of the rows of one section, each once, with the rows that it is about."""
    if any(not result.spec.trained for result in group):
        yield "untrained weights: masks and removals are as at the end of a run"
    densities = [result.costs.density for result in group if result.costs]
    data = sorted({density.data for density in densities if density})
    if data:
        yield f"densities are of {' and '.join(data)}"
    for note in dict.fromkeys(note for result in group for note in result.notes):
        yield clean(note)
    about: dict[str, dict[str, None]] = {}
    for result in group:
        for reason, who in _reasons(result):
            about.setdefault(reason, {})[who] = None
    for reason, whom in about.items():
        yield clean(f"{', '.join(whom)}: {reason}", limit=_LIMIT)


def _reasons(result: ProfileResult) -> Iterator[tuple[str, str]]:
    """Yields what is missing or doubtful in a row, with what the row is called there."""
    name = label(result)
    if result.status is not Status.OK:
        yield str(result.reason), f"{name}, batch {result.spec.batch_size}: {result.status}"
    if result.costs is None:
        return
    for part, reason in result.costs.missing.items():
        yield f"no {part}: {reason}", name
    for cost in result.costs.runtimes:
        if cost.reason is not None:
            yield f"not under {cost.name}: {cost.reason}", name
    for other in result.costs.device.others:
        yield f"the device was shared with {other}", name
    if result.costs.latency and result.costs.latency.noisy:
        yield "noisy: single times scatter by over 10 %", f"{name} at {result.spec.batch_size}"
