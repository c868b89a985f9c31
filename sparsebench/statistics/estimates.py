"""Means over seeds and tasks with confidence intervals, and differences between two methods.

The variance of a mean over ``S`` seeds on one task is the sum of two parts:

- **sampling**: the variance over samples of examples, computed from the influence of each example,
  averaged over seeds first. All seeds are evaluated on the same examples, so this part does not
  shrink with more seeds.
- **seeds**: the sample variance of the scores of the seeds, divided by ``S``.

The noise of one seed on one example is in both parts, so the sum can only be too large: the tests
are conservative. Tasks are independent, and two methods may have different variances. The degrees
of freedom follow Satterthwaite (1946): ``S - 1`` for the seeds of each task and infinitely many for
the sampling part, but at most ``CAP`` times those of all seeds, because a few seeds can agree by
chance. ``tests/statistics/test_calibration.py`` measures the error rates of the whole procedure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

CONFIDENCE = 0.95
"""The probability that a confidence interval contains the true value."""

POWER = 0.8
"""The probability that a test finds the minimum detectable difference."""

CAP = 2
"""The most degrees of freedom, as a multiple of those of the seeds. Six equal methods with two
seeds on three tasks differ significantly on 8 % of simulated leaderboards without this cap, on 5 to
6 % with it."""

_MANY = 1e6
"""Degrees of freedom that stand for infinitely many."""

_ROWS_AT_ONCE = 2_000_000
"""Numbers in a block of pairs: a limit to the memory that many methods need."""


@dataclass(frozen=True)
class TaskScores:
    """The scores of one method on one task.

    Attributes:
        scores: One score per seed ``[S]``.
        sampling: The influence of each example, averaged over seeds and divided by the number of
            examples ``[n]``; the sum of squares is the variance over samples of examples. None if
            unknown.
    """

    scores: Numbers
    sampling: Numbers | None = None


@dataclass(frozen=True)
class Estimate:
    """A mean, or a difference of means, with its standard error.

    Attributes:
        value: The mean over tasks and seeds.
        seed_error: The standard error due to seeds; None with a single seed.
        sampling_error: The standard error due to examples, over the tasks whose sampling is known.
            None if none is known, or if with a single seed one is unknown.
        freedom: The degrees of freedom of the whole error.
    """

    value: float
    seed_error: float | None
    sampling_error: float | None
    freedom: float

    @property
    def error(self) -> float | None:
        """The standard error; None if unknown."""
        known = [part for part in (self.seed_error, self.sampling_error) if part is not None]
        return float(np.hypot.reduce(known)) if known else None

    @property
    def half_width(self) -> float | None:
        """Half the width of the confidence interval; None without an error."""
        quantile = float(special.stdtrit(self.freedom, (1 + CONFIDENCE) / 2))
        return None if self.error is None else quantile * self.error

    @property
    def interval(self) -> tuple[float, float] | None:
        """The confidence interval by Student's t; None without an error."""
        half = self.half_width
        return None if half is None else (self.value - half, self.value + half)

    @property
    def p_value(self) -> float | None:
        """The p-value of the hypothesis that the true value is 0; None without an error."""
        if not self.error:
            return None
        return float(_p_values(np.array(self.value), np.array(self.error), np.array(self.freedom)))

    @property
    def detectable(self) -> float | None:
        """The minimum detectable difference, found with probability ``POWER``; None if unknown."""
        if self.error is None:
            return None
        needed = special.stdtrit(self.freedom, (1 + CONFIDENCE) / 2)
        return float((needed + special.stdtrit(self.freedom, POWER)) * self.error)


def estimate(tasks: Sequence[TaskScores]) -> Estimate:
    """Return the mean over tasks of one method, or of one difference.

    Args:
        tasks: The scores on each task.
    """
    scores = [task.scores for task in tasks]
    count = len(tasks)
    single = any(len(row) < 2 for row in scores)  # noqa: PLR2004 - a variance needs two
    known = [task.sampling for task in tasks if task.sampling is not None]
    if single and len(known) < count:
        known = []  # the error of the other tasks would be wholly unknown
    sampling = sum(float(terms @ terms) for terms in known) / count**2
    by_seeds = [0.0 if single else float(row.var(ddof=1)) / len(row) / count**2 for row in scores]
    parts = [(part, len(row) - 1) for part, row in zip(by_seeds, scores, strict=True)]
    return Estimate(
        value=float(np.mean([row.mean() for row in scores])),
        seed_error=None if single else float(np.sqrt(sum(by_seeds))),
        sampling_error=float(np.sqrt(sampling)) if known else None,
        freedom=_freedom(sampling, parts),
    )


def difference(first: Sequence[TaskScores], second: Sequence[TaskScores]) -> list[TaskScores]:
    """Return ``first - second`` by task, seed and example.

    Args:
        first: The scores of one method.
        second: The scores of the other, on the same tasks, seeds and examples.
    """
    return [
        TaskScores(
            scores=a.scores - b.scores,
            sampling=None if a.sampling is None or b.sampling is None else a.sampling - b.sampling,
        )
        for a, b in zip(first, second, strict=True)
    ]


def pairwise(methods: Sequence[Sequence[TaskScores]]) -> Numbers:
    """Return the p-value of the difference of every two methods ``[M, M]``.

    Equal to ``estimate(difference(a, b)).p_value`` for each pair; 1 where the error is unknown, as
    on the diagonal.

    Args:
        methods: The scores of each method, on the same tasks with at least two seeds each.
    """
    scores = np.array([[task.scores for task in tasks] for tasks in methods])  # [M, T, S]
    count, tasks, seeds = scores.shape
    sampling = sum(_sampling_variances([row[t] for row in methods]) for t in range(tasks))
    sampling = sampling / tasks**2
    p_values = np.ones((count, count))
    step = max(1, _ROWS_AT_ONCE // max(1, scores.size))
    for start in range(0, count, step):
        rows = slice(start, start + step)
        apart = scores[rows, None] - scores[None]  # [m, M, T, S]
        by_task = apart.var(axis=-1, ddof=1) / seeds / tasks**2
        error = np.sqrt(sampling[rows] + by_task.sum(-1))
        squares = (by_task**2).sum(-1) / (seeds - 1)
        freedom = np.full_like(error, _MANY)
        np.divide(error**4, squares, out=freedom, where=squares > 0)
        values = apart.mean(axis=(-2, -1))
        p_values[rows] = _p_values(values, error, np.minimum(freedom, CAP * tasks * (seeds - 1)))
    return p_values


def _sampling_variances(methods: Sequence[TaskScores]) -> Numbers:
    """Return the sampling variance of the difference of every two methods on a task ``[M, M]``."""
    known = [method.sampling for method in methods if method.sampling is not None]
    if len(known) < len(methods):
        return np.zeros((len(methods), len(methods)))
    terms = np.stack(known)
    products = terms @ terms.T
    squares = products.diagonal()
    return np.maximum(squares[:, None] + squares[None] - 2 * products, 0.0)


def _freedom(sampling: float, parts: Sequence[tuple[float, int]]) -> float:
    """Return Satterthwaite's degrees of freedom of a sum of variances."""
    squares = sum(part**2 / freedom for part, freedom in parts if freedom)
    whole = sampling + sum(part for part, _ in parts)
    most = CAP * sum(freedom for _, freedom in parts) or _MANY
    return min(whole**2 / squares, most) if squares > 0 else most


def _p_values(values: Numbers, errors: Numbers, freedom: Numbers) -> Numbers:
    known = errors > 0
    ratios = np.divide(np.abs(values), errors, out=np.zeros_like(errors), where=known)
    return np.where(known, 2 * special.stdtr(freedom, -ratios), 1.0)
