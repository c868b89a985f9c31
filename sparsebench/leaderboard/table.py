"""The one table behind every format: raw values, nothing rounded, nothing escaped."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sparsebench.spec import MethodChoice, Protocol

MISSING = "missing"
"""What is said of a run that has no result."""

NOT_APPLICABLE = "n/a"
"""What is said of a run that was skipped."""


@dataclass(frozen=True)
class Failure:
    """A run that should have a score and has none.

    Attributes:
        seed: The seed of the run.
        kind: ``missing``, ``n/a``, ``no score``, or how it ended: ``oom``, ``diverged`` ...
        reason: Why, in one line.
    """

    seed: int
    kind: str
    reason: str


@dataclass(frozen=True)
class Cell:
    """One method on one task.

    Attributes:
        scores: Seed -> score, of the runs that have one.
        failures: The runs that have none, by seed.
    """

    scores: Mapping[int, float]
    failures: tuple[Failure, ...] = ()

    @property
    def mean(self) -> float | None:
        """Mean over the seeds; None where a run has failed or is missing."""
        return None if self.failures else statistics.fmean(self.scores.values())

    @property
    def spread(self) -> float | None:
        """Standard deviation over the seeds; None where there is no mean, or but one seed."""
        return None if self.failures else spread(self.scores.values())


@dataclass(frozen=True)
class Average:
    """The score of a method over all tasks.

    Attributes:
        value: Mean over seeds of the mean over tasks.
        spread: Standard deviation over seeds of the mean over tasks; None for one seed.
        seeds: The number of seeds.
    """

    value: float
    spread: float | None
    seeds: int


@dataclass(frozen=True)
class Figures:
    """What a method costs: the median over the runs of its row. None where it was not measured.

    Attributes:
        trainable: Parameters that train, the head apart.
        trainable_share: The same as a share of the backbone's parameters, the head apart.
        macs: Multiply-adds of all matrix products in one forward pass of one sequence.
        unverified: Why the multiply-adds cannot be trusted, if so: operators that were not
            counted, or else what the trouble is.
        latency_ratio: Seconds of a forward pass over those of the untouched backbone.
        noisy: Whether the samples of half of the runs or more scatter too much.
        training_bytes: Peak memory of training.
        inference_bytes: Peak memory of inference.
    """

    trainable: int | None = None
    trainable_share: float | None = None
    macs: int | None = None
    unverified: tuple[str, ...] = ()
    latency_ratio: float | None = None
    noisy: bool = False
    training_bytes: int | None = None
    inference_bytes: int | None = None


@dataclass(frozen=True)
class Column:
    """One task.

    Attributes:
        name: What it is called here, unique in the group.
        task: The registered name.
        version: The version of the task.
        data_fingerprint: The hash of its examples.
        metrics: What its headline score is called.
    """

    name: str
    task: str
    version: str
    data_fingerprint: str
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One method with its settings.

    Attributes:
        name: What it is called here, unique in the group.
        method: The method, its version and its settings.
        cells: One a column.
        average: None where any cell has a failure.
        figures: What it costs.
        status: ``ok``, or how many runs failed in which way: ``1 oom, 2 missing``.
    """

    name: str
    method: MethodChoice
    cells: tuple[Cell, ...]
    average: Average | None
    figures: Figures
    status: str


@dataclass(frozen=True)
class Group:
    """Rows that may be compared: of one backbone, under one protocol.

    Attributes:
        name: What the backbone is called here, unique among the groups of one protocol.
        model: The backbone's name.
        model_fingerprint: The hash of its content, or its Hub commit.
        protocol: Which weights are reported.
        flagged: Whether scores were selected on the split that they are reported on.
        columns: The tasks.
        seeds: The seeds that every method is expected to have on every task.
        rows: Best average first; those without one last.
        notes: What must be known to read the rows: what failed and why, what differs.
    """

    name: str
    model: str
    model_fingerprint: str
    protocol: Protocol
    flagged: bool
    columns: tuple[Column, ...]
    seeds: tuple[int, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A leaderboard.

    Attributes:
        groups: By name, then by protocol.
        unreadable: Results that could not be read, each with its reason. Tasks, seeds and methods
            that only they have are not in the groups.
    """

    groups: tuple[Group, ...]
    unreadable: tuple[str, ...] = ()


def spread(values: Iterable[float]) -> float | None:
    """Returns the sample standard deviation, or None for fewer than two values."""
    known = list(values)
    return statistics.stdev(known) if len(known) > 1 else None
