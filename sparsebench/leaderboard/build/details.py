"""Collect the details of a row from its runs."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from sparsebench.leaderboard.build.run_terms import group_by
from sparsebench.leaderboard.details import LossCurve, RowDetails

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sparsebench.leaderboard.build.rows import RowRuns
    from sparsebench.results.records import Provenance, RunResult


def details_of(source: RowRuns) -> RowDetails:
    """Return the details of a row.

    Args:
        source: The row with its runs.
    """
    runs = source.runs
    known = [run.provenance for run in runs if run.provenance]
    days = sorted(record.created[:10] for record in known)
    return RowDetails(
        terms=source.terms,
        budgets=_budgets(runs),
        machines=_distinct(record.device for record in known),
        platforms=_distinct(record.platform for record in known),
        versions=_versions(known),
        commits=_distinct(record.git for record in known if record.git),
        dates=(days[0], days[-1]) if days else (),
        ranges=_ranges(runs),
        curves=tuple(_curves(runs)),
    )


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


def _budgets(runs: Sequence[RunResult]) -> dict[str, str]:
    by_task = group_by(runs, lambda run: run.spec.task)
    return {
        task: ", ".join(_distinct(str(run.spec.training.budget) for run in own))
        for task, own in by_task.items()
    }


def _versions(known: Sequence[Provenance]) -> dict[str, tuple[str, ...]]:
    packages = sorted({package for record in known for package in record.versions})
    return {
        package: _distinct(
            record.versions[package] for record in known if package in record.versions
        )
        for package in packages
    }


def _ranges(runs: Sequence[RunResult]) -> dict[str, tuple[float, float]]:
    costs = [run.costs for run in runs if run.costs]
    parameters = [cost.parameters for cost in costs if cost.parameters]
    memories = [cost.memory for cost in costs if cost.memory]
    found = {
        "trainable": _range(part.trainable for part in parameters),
        "sparsity": _range(part.encoder_sparsity for part in parameters),
        "act-density": _range(cost.density.density for cost in costs if cost.density),
        "macs": _range(cost.flops.matrix for cost in costs if cost.flops),
        "efficiency": _range(cost.runtimes[0].efficiency for cost in costs if cost.runtimes),
        "train-memory": _range(part.training.bytes for part in memories if part.training),
        "infer-memory": _range(part.inference for part in memories),
    }
    intervals = [cost.latency.interval for cost in costs if cost.latency and cost.latency.interval]
    if intervals:
        lows, highs = zip(*intervals, strict=True)
        found["latency"] = statistics.median(lows), statistics.median(highs)
    return {name: ends for name, ends in found.items() if ends is not None and ends[0] < ends[1]}


def _range(values: Iterable[float | None]) -> tuple[float, float] | None:
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else None


def _curves(runs: Sequence[RunResult]) -> Iterator[LossCurve]:
    for run in sorted(runs, key=lambda run: (run.spec.task, run.spec.seed)):
        if run.training:
            points = ((point.step, point.loss) for point in run.training.loss)
            finite = tuple(point for point in points if math.isfinite(point[1]))
            if finite:
                yield LossCurve(run.spec.task, run.spec.seed, finite)
