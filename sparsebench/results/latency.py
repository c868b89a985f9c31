"""Wall-clock time of a forward pass, as it was measured, and the ratio that follows from it."""

from __future__ import annotations

import itertools
import math
import statistics
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from sparsebench.results.records import CostRecord, Shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

NOISY = 0.1
"""A latency whose interquartile range exceeds this share of its median is noisy."""


Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""How long something took, by a clock that can tell it from nothing."""


class Latency(CostRecord):
    """Wall-clock time of one forward pass, beside that of the untouched backbone.

    Samples of the model and of the reference at the same place were taken in the same round, one
    right after the other.
    """

    unit: Literal["s"] = "s"
    """Seconds."""

    samples: tuple[Seconds, ...] = Field(min_length=1)
    """Seconds of each forward pass, in the order they ran, warm-up left out."""

    reference_samples: tuple[Seconds, ...] = ()
    """Seconds of the untouched backbone, round by round; empty where none was given."""

    blocks: tuple[int, ...] = ()
    """Rounds of each block, in order: between two blocks, weights were moved to fresh memory."""

    interval: tuple[float, float] | None = None
    """95 % confidence interval of ``ratio``, as ``ratio_interval`` finds it from the blocks."""

    clock: Literal["monotonic", "cuda-event"]
    """What measured the time."""

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
        """Seconds that 95 % of the forward passes stay within."""
        return _quantiles(self.samples, 20)[18]

    @property
    def iqr(self) -> float:
        """Seconds between the first and the third quartile."""
        quartiles = _quantiles(self.samples, 4)
        return quartiles[2] - quartiles[0]

    @property
    def noisy(self) -> bool:
        """Whether the samples scatter too much for their median to mean much by itself."""
        return self.iqr > NOISY * self.median

    @property
    def ratios(self) -> tuple[float, ...]:
        """Model over untouched backbone, round by round; below 1 the model is faster."""
        rounds = zip(self.samples, self.reference_samples, strict=False)
        return tuple(model / reference for model, reference in rounds)

    @property
    def ratio(self) -> float | None:
        """Model over untouched backbone, the headline: geometric mean of the blocks' medians."""
        if not self.reference_samples:
            return None
        return math.exp(statistics.fmean(block_logs(self.ratios, self.blocks)))


def block_logs(ratios: Sequence[float], blocks: Sequence[int]) -> list[float]:
    """Returns the logarithm of the median ratio of each block.

    Args:
        ratios: Ratios, round by round.
        blocks: Rounds of each block; empty for a single block of all.
    """
    if not blocks:
        return [math.log(statistics.median(ratios))]
    ends = list(itertools.accumulate(blocks))
    parts = [ratios[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return [math.log(statistics.median(part)) for part in parts]


def ratio_interval(ratios: Sequence[float], blocks: Sequence[int]) -> tuple[float, float] | None:
    """Returns the 95 % interval of the headline ratio; None for fewer than two blocks.

    Rounds that follow each other are alike: the machine has the same other work, and the weights
    lie in the same memory. A block is short of that, so that its median is taken as one
    observation, and the interval is Student's over their logarithms.

    Args:
        ratios: Ratios, round by round.
        blocks: Rounds of each block.
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
