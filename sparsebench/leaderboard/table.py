"""The one table behind every format: raw values, nothing rounded, nothing escaped."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sparsebench.results.verified import Verified

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sparsebench.schema.spec import MethodChoice
    from sparsebench.schema.training import Protocol
    from sparsebench.statistics import Standing

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
class ConfidenceInterval:
    """How sure a mean is.

    Attributes:
        seed_error: The part of its standard error that comes from the seeds; None for one seed.
        sampling_error: The part that comes from the choice of examples; None where the predictions
            are not known.
        half_width: Half the width of its 95 % interval.
    """

    seed_error: float | None
    sampling_error: float | None
    half_width: float


@dataclass(frozen=True)
class Cell:
    """One method on one task.

    Attributes:
        scores: Seed -> score, of the runs that have one.
        failures: The runs that have none, by seed.
        sureness: How sure the mean is; None where there is no mean, or nothing is known of it.
    """

    scores: Mapping[int, float]
    failures: tuple[Failure, ...] = ()
    sureness: ConfidenceInterval | None = None

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
        sureness: How sure the value is; None where nothing is known of it.
    """

    value: float
    spread: float | None
    seeds: int
    sureness: ConfidenceInterval | None = None


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
        realised: The measured speed-up over that which skipping every zero would promise.
        density: The share of activations of the feed-forward networks that is not small.
        layer_densities: The same of each of them: ``encoder 0`` and on, those that were removed
            left out; empty where that was not measured.
        training_bytes: Peak memory of training.
        inference_bytes: Peak memory of inference.
        encoder_sparsity: The share of the blocks' matrices that is zero or gone.
        sparsity: The share of the whole model that is zero or gone.
        macs_nonzero: The multiply-adds without stored zeros: what a perfect kernel would run.
        steps: Optimizer steps of training.
    """

    trainable: int | None = None
    trainable_share: float | None = None
    macs: int | None = None
    unverified: tuple[str, ...] = ()
    latency_ratio: float | None = None
    noisy: bool = False
    realised: float | None = None
    density: float | None = None
    layer_densities: Mapping[str, float] = field(default_factory=dict)
    training_bytes: int | None = None
    inference_bytes: int | None = None
    encoder_sparsity: float | None = None
    sparsity: float | None = None
    macs_nonzero: int | None = None
    steps: int | None = None


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
        standing: Where it stands among the rows that have an average; None where it has none, or
            where there are too few seeds to say.
        worse_than: The names of the rows that are better and separated from it.
        evidence: What the scores rest on: the least of its runs.
        trials: The trials that its settings were chosen from; None where nobody says so.
    """

    name: str
    method: MethodChoice
    cells: tuple[Cell, ...]
    average: Average | None
    figures: Figures
    status: str
    standing: Standing | None = None
    worse_than: tuple[str, ...] = ()
    evidence: Verified = Verified.REPORTED
    trials: int | None = None


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
        unequal_budgets: Whether runs on one task have trained for different numbers of steps.
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
    unequal_budgets: bool
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
