"""The leaderboard as data: raw values, nothing rounded, nothing escaped."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sparsebench.results.verified import Verified

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sparsebench.leaderboard.details import RowDetails
    from sparsebench.schema.spec import MethodChoice
    from sparsebench.schema.training import Protocol
    from sparsebench.statistics import Standing

DENSE = "full"
"""The method whose rows are dense: full fine-tuning."""

MISSING = "missing"
"""The kind of failure of a run without a result."""

NOT_APPLICABLE = "n/a"
"""The kind of failure of a run that was skipped."""


@dataclass(frozen=True)
class Failure:
    """A run that should have a score and has none.

    Attributes:
        seed: The seed of the run.
        kind: ``missing``, ``n/a``, ``no score``, or the status of the run, such as ``oom``.
        reason: The reason, in one line.
    """

    seed: int
    kind: str
    reason: str


@dataclass(frozen=True)
class ConfidenceInterval:
    """The 95 % confidence interval of a mean, and the two parts of its standard error.

    Attributes:
        seed_error: Standard error from the seeds; None for one seed.
        sampling_error: Standard error from the choice of examples; None where the predictions are
            not stored.
        half_width: Half the width of the interval.
    """

    seed_error: float | None
    sampling_error: float | None
    half_width: float


@dataclass(frozen=True)
class Cell:
    """The scores of one method on one task.

    Attributes:
        scores: Seed -> score, of the runs that have one.
        failures: The runs without a score, by seed.
        confidence_interval: That of the mean; None without a mean or an estimate of its error.
        constant: The seeds whose run predicts the same for all examples.
    """

    scores: Mapping[int, float]
    failures: tuple[Failure, ...] = ()
    confidence_interval: ConfidenceInterval | None = None
    constant: tuple[int, ...] = ()

    @property
    def mean(self) -> float | None:
        """Mean over the seeds; None where a run has failed or is missing."""
        return None if self.failures else statistics.fmean(self.scores.values())

    @property
    def spread(self) -> float | None:
        """Standard deviation over the seeds; None without a mean, or for a single seed."""
        return None if self.failures else spread(self.scores.values())


@dataclass(frozen=True)
class Average:
    """The score of a method over all tasks.

    Attributes:
        value: Mean over seeds of the mean over tasks.
        spread: Standard deviation over seeds of the mean over tasks; None for one seed.
        seeds: The number of seeds.
        confidence_interval: That of the value; None without an estimate of its error.
    """

    value: float
    spread: float | None
    seeds: int
    confidence_interval: ConfidenceInterval | None = None


@dataclass(frozen=True)
class CostSummary:
    """The costs of a method: medians over the runs of its row. None where not measured.

    Attributes:
        trainable: Trainable parameters, without the head.
        trainable_share: The same as a share of the backbone's parameters, without the head.
        macs: Multiply-adds of all matrix products in one forward pass of one sequence.
        unverified: Why the multiply-adds are in doubt: operators that were not counted, or else
            the reason; empty where they are not.
        latency_ratio: Seconds of a forward pass over those of the untouched backbone.
        noisy: True if the samples of half of the runs or more scatter too much.
        efficiency: Measured over theoretical speed-up of the deployed model.
        activation_density: Share of FFN activations above the threshold.
        layer_activation_densities: The same for each FFN, ``encoder 0`` and on, without those that
            were removed; empty where not measured.
        training_bytes: Peak memory of training.
        inference_bytes: Peak memory of inference.
        encoder_sparsity: Share of the weights in the blocks' matrices that are zero or removed.
        sparsity: Share of all weights that are zero or removed.
        macs_nonzero: Multiply-adds without stored zeros.
        steps: Optimizer steps of training.
    """

    trainable: int | None = None
    trainable_share: float | None = None
    macs: int | None = None
    unverified: tuple[str, ...] = ()
    latency_ratio: float | None = None
    noisy: bool = False
    efficiency: float | None = None
    activation_density: float | None = None
    layer_activation_densities: Mapping[str, float] = field(default_factory=dict)
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
        name: Its heading, unique in the group.
        task: The registered name.
        version: The version of the task.
        data_fingerprint: The hash of its examples.
        metrics: The names of its headline metric.
        baseline: The score of the most frequent label for every example, or 0 where labels are
            numbers, with which a constant does not correlate; None where unknown.
    """

    name: str
    task: str
    version: str
    data_fingerprint: str
    metrics: tuple[str, ...]
    baseline: float | None = None


@dataclass(frozen=True)
class Difference:
    """The difference of a row to the dense one, paired by task, seed and example.

    Attributes:
        value: The mean difference.
        half_width: Half of its 95 % confidence interval, as of a single comparison.
    """

    value: float
    half_width: float

    @property
    def is_significant(self) -> bool:
        """Whether the interval leaves out 0."""
        return abs(self.value) > self.half_width


@dataclass(frozen=True)
class Row:
    """One method with its settings.

    Attributes:
        name: Its heading, unique in the group.
        method: The method, its version and its settings.
        cells: One per column.
        average: None where any cell has a failure.
        costs: Its costs.
        status: ``ok``, or the number of runs for each kind of failure: ``1 oom, 2 missing``.
        standing: Its rank among the rows with an average; None without an average, or with too few
            seeds to rank.
        worse_than: The names of the rows that are significantly better.
        verified: How far its scores are verified: the weakest of its runs.
        search_trials: The number of search trials that its settings were chosen from; None where
            not recorded.
        details: Its terms, environment and loss curves; None where not collected.
        to_dense: The difference to the dense row; None for that row, or without an estimate.
    """

    name: str
    method: MethodChoice
    cells: tuple[Cell, ...]
    average: Average | None
    costs: CostSummary
    status: str
    standing: Standing | None = None
    worse_than: tuple[str, ...] = ()
    verified: Verified = Verified.REPORTED
    search_trials: int | None = None
    details: RowDetails | None = None
    to_dense: Difference | None = None

    @property
    def verified_in_words(self) -> str:
        """``no``, ``recomputed`` or ``rerun``."""
        return "no" if self.verified is Verified.REPORTED else self.verified.value


@dataclass(frozen=True)
class Group:
    """Rows that can be compared: of one backbone, under one protocol.

    Attributes:
        name: The backbone's heading, unique among the groups of one protocol.
        model: The backbone's name.
        model_fingerprint: The hash of its content, or its Hub commit.
        protocol: The rule that selects the reported weights.
        flagged: True if scores were selected on the split that is reported.
        columns: The tasks.
        seeds: The seeds that every method is expected to have on every task.
        rows: Best average first; those without one last.
        unequal_budgets: True if runs on one task were trained for different numbers of steps.
        notes: Failures with their reasons, and differences that limit the comparison.
        dense: The name of the dense row, that of full fine-tuning; None without one.
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
    dense: str | None = None

    @property
    def baseline(self) -> float | None:
        """The average of the majority classes; None where that of a task is unknown."""
        known = [column.baseline for column in self.columns if column.baseline is not None]
        return statistics.fmean(known) if known and len(known) == len(self.columns) else None

    def is_below_baseline(self, row: Row) -> bool:
        """Return whether the average of a row is not above that of the majority classes."""
        baseline = self.baseline
        return baseline is not None and row.average is not None and row.average.value <= baseline


@dataclass(frozen=True)
class Leaderboard:
    """All groups of a set of results.

    Attributes:
        groups: By name, then by protocol.
        unreadable: Results that could not be read, each with its reason. Tasks, seeds and methods
            that only they have are not in the groups.
    """

    groups: tuple[Group, ...]
    unreadable: tuple[str, ...] = ()


def spread(values: Iterable[float]) -> float | None:
    """Return the sample standard deviation, or None for fewer than two values."""
    known = list(values)
    return statistics.stdev(known) if len(known) > 1 else None
