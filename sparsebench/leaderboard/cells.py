"""The scores of a row: what there is, what is missing, and the average where nothing is."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from typing import TYPE_CHECKING

from sparsebench.leaderboard.rows import belongs, shown
from sparsebench.leaderboard.table import (
    MISSING,
    NOT_APPLICABLE,
    Average,
    Cell,
    Column,
    Failure,
    spread,
)
from sparsebench.results.records import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sparsebench.results.records import RunResult


def chosen_runs(
    runs: Sequence[RunResult], *, column: Column, seeds: Sequence[int]
) -> dict[int, RunResult | None]:
    """Returns the run that counts for every seed, or None where there is none.

    Args:
        runs: The runs of a row.
        column: The task.
        seeds: The seeds that are expected.
    """
    by_seed: dict[int, list[RunResult]] = {}
    for run in runs:
        if belongs(run, column):
            by_seed.setdefault(run.spec.seed, []).append(run)
    return {seed: shown(by_seed[seed]) if seed in by_seed else None for seed in seeds}


def cell_of(chosen: Mapping[int, RunResult | None]) -> Cell:
    """Returns what a row has on one task.

    Args:
        chosen: Seed -> the run that counts.
    """
    failures = {seed: _failure(seed, run) for seed, run in chosen.items()}
    return Cell(
        scores={
            seed: run.score
            for seed, run in chosen.items()
            if run and run.score is not None and failures[seed] is None
        },
        failures=tuple(failure for failure in failures.values() if failure),
    )


def _failure(seed: int, run: RunResult | None) -> Failure | None:
    if run is None:
        return Failure(seed, MISSING, "there is no result")
    if run.status is Status.SKIPPED:
        return Failure(seed, NOT_APPLICABLE, run.reason or "skipped, and no reason was recorded")
    if run.status is not Status.OK:
        return Failure(seed, run.status.value, run.reason or "no reason was recorded")
    if run.score is None or not math.isfinite(run.score):
        return Failure(seed, "no score", f"the score is {run.score}")
    return None


def average_of(cells: Sequence[Cell], *, seeds: Sequence[int]) -> Average | None:
    """Returns the mean over tasks and seeds, or None where any run has no score."""
    if any(cell.failures for cell in cells):
        return None
    by_seed = [statistics.fmean(cell.scores[seed] for cell in cells) for seed in seeds]
    return Average(statistics.fmean(by_seed), spread(by_seed), len(seeds))


def status_of(cells: Sequence[Cell]) -> str:
    """Returns ``ok``, or how many runs failed in which way."""
    kinds = Counter(failure.kind for cell in cells for failure in cell.failures)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "ok"
