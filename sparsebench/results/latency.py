"""The wall-clock times of a deployed model: forward passes, generation, runtimes."""

from __future__ import annotations

import itertools
import math
import statistics
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from sparsebench.results.base import LONGEST, Record, Shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

NOISY = 0.1
"""A latency is noisy if its interquartile range exceeds this share of its median."""

Seconds = Annotated[float, Field(gt=0, le=LONGEST, allow_inf_nan=False)]
"""A duration that the clock can distinguish from zero."""


class Latency(Record):
    """The wall-clock time of one forward pass, interleaved with that of the untouched backbone.

    Samples of model and reference with the same index were taken in the same round, one right
    after the other.
    """

    unit: Literal["s"] = "s"
    """Seconds."""

    samples: tuple[Seconds, ...] = Field(min_length=1)
    """Seconds of each forward pass, in the order they ran, without warm-up."""

    reference_samples: tuple[Seconds, ...] = ()
    """Seconds of the untouched backbone in the same rounds; empty if there is no reference."""

    blocks: tuple[int, ...] = ()
    """Number of rounds in each block. Weights moved to fresh memory between blocks."""

    interval: tuple[float, float] | None = None
    """95 % confidence interval of ``ratio``, computed by ``ratio_interval`` from the blocks."""

    clock: Literal["monotonic", "cuda-event"]
    """The clock that measured."""

    threads: int
    """Threads that one operator may use on the CPU."""

    shapes: Shapes
    """The inputs of the forward pass."""

    @property
    def median(self) -> float:
        """Median seconds of a forward pass."""
        return statistics.median(self.samples)

    @property
    def p95(self) -> float:
        """The 95th percentile in seconds."""
        return _quantiles(self.samples, 20)[18]

    @property
    def iqr(self) -> float:
        """The interquartile range in seconds."""
        quartiles = _quantiles(self.samples, 4)
        return quartiles[2] - quartiles[0]

    @property
    def noisy(self) -> bool:
        """Whether the samples scatter too much for their median to be meaningful by itself."""
        return self.iqr > NOISY * self.median

    @property
    def ratios(self) -> tuple[float, ...]:
        """Time of the model over that of the untouched backbone, by round; below 1 is faster."""
        rounds = zip(self.samples, self.reference_samples, strict=False)
        return tuple(model / reference for model, reference in rounds)

    @property
    def ratio(self) -> float | None:
        """The headline: the geometric mean of the blocks' median ratios; None without reference."""
        if not self.reference_samples:
            return None
        return math.exp(statistics.fmean(block_logs(self.ratios, self.blocks)))


def block_logs(ratios: Sequence[float], blocks: Sequence[int]) -> list[float]:
    """Return the logarithm of the median ratio of each block.

    Args:
        ratios: Ratios, by round.
        blocks: Number of rounds in each block; empty for a single block.
    """
    if not blocks:
        return [math.log(statistics.median(ratios))]
    ends = list(itertools.accumulate(blocks))
    parts = [ratios[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return [math.log(statistics.median(part)) for part in parts]


def ratio_interval(ratios: Sequence[float], blocks: Sequence[int]) -> tuple[float, float] | None:
    """Return the 95 % confidence interval of the headline ratio; None for fewer than two blocks.

    Consecutive rounds are correlated: the machine has the same other load, and the weights lie in
    the same memory. So the median of a block counts as one observation, and the interval is
    Student's over the logarithms of the medians.

    Args:
        ratios: Ratios, by round.
        blocks: Number of rounds in each block.
    """
    if len(blocks) < 2:  # noqa: PLR2004
        return None
    from scipy import stats

    logs = block_logs(ratios, blocks)
    half = stats.t.ppf(0.975, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    mean = statistics.fmean(logs)
    return math.exp(mean - half), math.exp(mean + half)


def _quantiles(samples: tuple[float, ...], parts: int) -> list[float]:
    if len(samples) == 1:
        return [samples[0]] * (parts - 1)
    return statistics.quantiles(samples, n=parts, method="inclusive")


class Generation(Record):
    """Greedy generation with a key-value cache: arithmetic of one sequence, time of a batch.

    The first pass reads the prompt and yields the first new token; each further token is one pass.
    """

    prompt: int
    """Tokens of the prompt."""

    tokens: int
    """New tokens that the arithmetic is counted for."""

    prefill: int
    """Multiply-adds of the first pass."""

    decode: int
    """Multiply-adds of all later passes together."""

    prefill_closed_form: int | None = None
    """The value of ``prefill`` by the architecture."""

    decode_closed_form: int | None = None
    """The value of ``decode`` by the architecture."""

    uncounted: tuple[str, ...] = ()
    """Names of the operators that compute and have no handler."""

    prefill_latency: Latency | None = None
    """Time of the first pass; None where it was not measured."""

    token_latency: Latency | None = None
    """Time of a pass for one token, while the cache grows from pass to pass."""

    @property
    def matrix(self) -> int:
        """Multiply-adds of all matrix products."""
        return self.prefill + self.decode

    @property
    def deviation(self) -> float | None:
        """The larger deviation of the two counts from their closed forms, as a share of these."""
        pairs = [(self.prefill, self.prefill_closed_form), (self.decode, self.decode_closed_form)]
        if any(expected is None for _, expected in pairs):
            return None
        return max(abs(count - formula) / formula for count, formula in pairs if formula)


class RuntimeCost(Record):
    """The deployed model under one runtime."""

    name: str
    """The registered name of the runtime."""

    reason: str | None = None
    """Why it was not measured; None if it was."""

    latency: Latency | None = None
    """Measured beside the untouched backbone, as ``Costs.latency`` is."""

    theoretical: float | None = None
    """The theoretical speed-up: multiply-adds of the untouched backbone over those that remain if
    every zero is skipped."""

    difference: float | None = None
    """The largest difference of a logit from that of the deployed model, as a share of the largest
    logit."""

    tolerance: float | None = None
    """The largest difference that counts as equal, by the type of the weights."""

    @property
    def equal(self) -> bool | None:
        """Whether the logits equal those of the deployed model; None if not measured."""
        if self.difference is None or self.tolerance is None:
            return None
        return self.difference <= self.tolerance

    @property
    def speedup(self) -> float | None:
        """The measured speed-up: time of the untouched backbone over that of this runtime."""
        ratio = self.latency.ratio if self.latency else None
        return 1 / ratio if ratio else None

    @property
    def efficiency(self) -> float | None:
        """Measured over theoretical speed-up."""
        if self.speedup is None or not self.theoretical:
            return None
        return self.speedup / self.theoretical


class BreakEven(Record):
    """The sparsity above which the product of a runtime is faster than dense, for one shape."""

    runtime: str
    """The registered name of the runtime."""

    rows: int
    """Outputs of the matrix."""

    columns: int
    """Inputs of the matrix."""

    tokens: int
    """Tokens that one product is applied to."""

    what: Literal["weights", "activations", "rows"]
    """What is zero or removed: single weights, activations that come in, or whole rows."""

    ratios: dict[float, float]
    """Sparsity -> time of the runtime over that of the dense product."""

    sparsity: float | None
    """The break-even sparsity, interpolated linearly between measured values; None if the runtime
    is never faster."""
