"""What is known of a row's scores beyond their mean: intervals, and where the row stands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sparsebench.leaderboard.sampling import sampling_of
from sparsebench.statistics import Panel, estimate, pairwise, standings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sparsebench.leaderboard.sampling import ReadPredictions
    from sparsebench.leaderboard.table import Cell
    from sparsebench.results.records import RunResult
    from sparsebench.statistics import Estimate, Standing

SEEDS_TO_RANK = 2
"""Seeds that ranks take: with one, nothing tells a better method from a lucky run."""


@dataclass(frozen=True)
class Measured:
    """The scores of one row on one task.

    Attributes:
        panel: The scores, and what each example does to their mean.
        examples: A hash of the examples; None where the predictions are not known.
    """

    panel: Panel
    examples: str | None


def measured(chosen: Mapping[int, RunResult | None], cell: Cell, read: ReadPredictions) -> Measured:
    """Reads what a row scored on one task.

    Args:
        chosen: Seed -> the run that counts.
        cell: Its scores.
        read: Reads the predictions of a run.
    """
    runs = [run for seed, run in chosen.items() if run and seed in cell.scores]
    scores = np.array([cell.scores[run.spec.seed] for run in runs], dtype=np.float64)
    samplings = [sampling_of(run, read(run)) for run in runs]
    known = [sampling for sampling in samplings if sampling is not None]
    examples = {sampling.examples for sampling in known}
    if len(known) < len(runs) or len(examples) != 1:
        return Measured(Panel(scores), None)
    terms = np.mean([sampling.terms for sampling in known], axis=0)
    return Measured(Panel(scores, terms), examples.pop())


def paired(rows: Sequence[Sequence[Measured]]) -> list[list[Panel]]:
    """Returns the panels of rows whose examples can be paired, task by task.

    Where rows were not asked the same examples of a task, or predictions of one are not known,
    the examples of that task are left out for all of them.
    """
    asked = [{row[task].examples for row in rows} for task in range(len(rows[0]) if rows else 0)]
    unknown = {task for task, kinds in enumerate(asked) if len(kinds) > 1 or None in kinds}
    return [
        [
            replace(item.panel, sampling=None) if task in unknown else item.panel
            for task, item in enumerate(row)
        ]
        for row in rows
    ]


def overall(row: Sequence[Measured]) -> Estimate:
    """Returns the mean of a row over its tasks."""
    return estimate([item.panel for item in row])


def standings_of(rows: Sequence[Sequence[Measured]], *, seeds: int) -> list[Standing] | None:
    """Returns where each row stands; None where there are too few seeds to say.

    Args:
        rows: Rows that have a score for every task and seed.
        seeds: The number of seeds.
    """
    if seeds < SEEDS_TO_RANK or not rows:
        return None
    panels = paired(rows)
    means = [float(np.mean([panel.scores.mean() for panel in row])) for row in panels]
    return standings(means, pairwise(panels))
