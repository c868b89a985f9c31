"""Collect the details of a row from its runs."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from sparsebench.leaderboard.build.run_terms import group_by
from sparsebench.leaderboard.details import LossCurve, RowDetails

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sparsebench.leaderboard.build.rows import RowRuns
    from sparsebench.results.costs import Costs
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
        uncertainties=_uncertainties(runs),
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


COSTS: Mapping[str, Callable[[Costs], float | None]] = {
    "trainable": lambda costs: costs.parameters.trainable if costs.parameters else None,
    "sparsity": lambda costs: costs.parameters.encoder_sparsity if costs.parameters else None,
    "act-density": lambda costs: costs.density.density if costs.density else None,
    "macs": lambda costs: costs.flops.matrix if costs.flops else None,
    "efficiency": lambda costs: costs.runtimes[0].efficiency if costs.runtimes else None,
    "train-memory": lambda costs: (
        costs.memory.training.bytes if costs.memory and costs.memory.training else None
    ),
    "infer-memory": lambda costs: costs.memory.inference if costs.memory else None,
}
"""Name of a cost -> its value in one run."""


def _uncertainties(runs: Sequence[RunResult]) -> dict[str, tuple[float, float]]:
    by_task = group_by(runs, lambda run: run.spec.task).values()
    found = {}
    for name, value in COSTS.items():
        tasks = [[value(run.costs) for run in own if run.costs] for own in by_task]
        found[name] = _spread([[each for each in task if each is not None] for task in tasks])
    latencies = [run.costs.latency for run in runs if run.costs and run.costs.latency]
    known = [(part.ratio, *part.interval) for part in latencies if part.interval]
    if known:
        middle, low, high = map(statistics.median, zip(*known, strict=True))
        found["latency"] = max(0.0, middle - low), max(0.0, high - middle)
    return {name: ends for name, ends in found.items() if any(ends)}


def _spread(tasks: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return how far seeds lie below and above the median of their task, mean over tasks."""
    measured = [(statistics.median(values), values) for values in tasks if values]
    if not measured:
        return 0.0, 0.0
    below = statistics.fmean(middle - min(values) for middle, values in measured)
    above = statistics.fmean(max(values) - middle for middle, values in measured)
    return below, above


def _curves(runs: Sequence[RunResult]) -> Iterator[LossCurve]:
    for run in sorted(runs, key=lambda run: (run.spec.task, run.spec.seed)):
        if run.training:
            points = ((point.step, point.loss) for point in run.training.loss)
            finite = tuple(point for point in points if math.isfinite(point[1]))
            if finite:
                yield LossCurve(run.spec.task, run.spec.seed, finite)
