"""Means over seeds and tasks with their intervals, and differences between two methods.

The error of a mean over ``S`` seeds on one task has two parts:

- **sampling**: the variance of the mean of the trained models over samples of examples, from the
  influences of the examples, averaged over seeds first. All seeds answer the same examples, so that
  more seeds do not make this part vanish.
- **seeds**: the sample variance of the scores of the seeds, divided by ``S``.

The two are added. What is noise of one seed on one example is in both, so that the sum is, if
anything, too large: the tests lean towards a tie. Tasks are independent. The degrees of freedom
are those of Satterthwaite (1946): ``S - 1`` for the seeds of each task, and of the sampling part
as many as make no difference; but at most ``CAP`` times those of all seeds, since a few seeds that
agree by chance would else pass for certainty. Nothing assumes that two methods are equally steady.
``tests/statistics/test_calibration.py`` measures what this comes to.
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
"""The share of intervals that hold the true value."""

POWER = 0.8
"""The chance to find the smallest difference that data is said to show."""

CAP = 2
"""The most degrees of freedom, in those of the seeds. Without it, six equal methods with two
uneven seeds on three tasks are told apart on 8 % of simulated leaderboards; with it, on 5 to 6 %.
"""

_MANY = 1e6
"""Degrees of freedom that are as good as infinitely many."""

_ROWS_AT_ONCE = 2_000_000
"""Numbers that a block of pairs may have, so that many methods need little memory."""


@dataclass(frozen=True)
class Panel:
    """What one method scored on one task.

    Attributes:
        scores: One a seed ``[S]``.
        sampling: The mean over seeds of every example's influence, over the number of examples
            ``[n]``: the sum of its squares is the variance over samples of examples. None where it
            is not known.
    """

    scores: Numbers
    sampling: Numbers | None = None


@dataclass(frozen=True)
class Estimate:
    """A mean, or a difference of means, and how sure it is.

    Attributes:
        value: The mean over tasks and seeds.
        seed_error: The standard error that comes from the seeds; None for a single seed.
        sampling_error: The standard error that comes from the examples, of the tasks whose
            sampling is known; None where none is, or one of a single seed is not.
        freedom: Degrees of freedom of the whole error.
    """

    value: float
    seed_error: float | None
    sampling_error: float | None
    freedom: float

    @property
    def error(self) -> float | None:
        """The standard error; None where nothing is known of it."""
        known = [part for part in (self.seed_error, self.sampling_error) if part is not None]
        return float(np.hypot.reduce(known)) if known else None

    @property
    def half_width(self) -> float | None:
        """Half the width of the confidence interval."""
        quantile = float(special.stdtrit(self.freedom, (1 + CONFIDENCE) / 2))
        return None if self.error is None else quantile * self.error

    @property
    def interval(self) -> tuple[float, float] | None:
        """The confidence interval, by Student's t."""
        half = self.half_width
        return None if half is None else (self.value - half, self.value + half)

    @property
    def p_value(self) -> float | None:
        """The chance of a value as far from 0 if the true one were 0; None without an error."""
        if not self.error:
            return None
        return float(_p_values(np.array(self.value), np.array(self.error), np.array(self.freedom)))

    @property
    def detectable(self) -> float | None:
        """The smallest true value that a test on such data finds with the chance ``POWER``."""
        if self.error is None:
            return None
        needed = special.stdtrit(self.freedom, (1 + CONFIDENCE) / 2)
        return float((needed + special.stdtrit(self.freedom, POWER)) * self.error)


def estimate(panels: Sequence[Panel]) -> Estimate:
    """Returns the mean over tasks of one method, or of one difference.

    Args:
        panels: One a task.
    """
    scores = [panel.scores for panel in panels]
    tasks = len(panels)
    single = any(len(row) < 2 for row in scores)  # noqa: PLR2004 - a variance takes two
    known = [panel.sampling for panel in panels if panel.sampling is not None]
    if single and len(known) < tasks:
        known = []  # of the other tasks nothing at all would be known
    sampling = sum(float(terms @ terms) for terms in known) / tasks**2
    by_seeds = [0.0 if single else float(row.var(ddof=1)) / len(row) / tasks**2 for row in scores]
    parts = [(part, len(row) - 1) for part, row in zip(by_seeds, scores, strict=True)]
    return Estimate(
        value=float(np.mean([row.mean() for row in scores])),
        seed_error=None if single else float(np.sqrt(sum(by_seeds))),
        sampling_error=float(np.sqrt(sampling)) if known else None,
        freedom=_freedom(sampling, parts),
    )


def difference(first: Sequence[Panel], second: Sequence[Panel]) -> list[Panel]:
    """Returns ``first - second`` task by task, seed by seed and example by example.

    Args:
        first: The panels of one method; the same tasks, seeds and examples as ``second``.
        second: Those of the other.
    """
    return [
        Panel(
            scores=a.scores - b.scores,
            sampling=None if a.sampling is None or b.sampling is None else a.sampling - b.sampling,
        )
        for a, b in zip(first, second, strict=True)
    ]


def pairwise(methods: Sequence[Sequence[Panel]]) -> Numbers:
    """Returns the p-value of the difference of every two methods ``[M, M]``.

    It is what ``estimate(difference(a, b)).p_value`` is, for all pairs at once; 1 where nothing is
    known of the error, as on the diagonal.

    Args:
        methods: Of each method its panels: the same tasks, at least two seeds each.
    """
    scores = np.array([[panel.scores for panel in panels] for panels in methods])  # [M, T, S]
    count, tasks, seeds = scores.shape
    sampling = sum(_sampling_variances([panels[t] for panels in methods]) for t in range(tasks))
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


def _sampling_variances(panels: Sequence[Panel]) -> Numbers:
    """Returns the sampling variance of the difference of every two methods on one task."""
    known = [panel.sampling for panel in panels if panel.sampling is not None]
    if len(known) < len(panels):
        return np.zeros((len(panels), len(panels)))
    terms = np.stack(known)
    products = terms @ terms.T
    squares = products.diagonal()
    return np.maximum(squares[:, None] + squares[None] - 2 * products, 0.0)


def _freedom(sampling: float, parts: Sequence[tuple[float, int]]) -> float:
    """Satterthwaite's degrees of freedom of a sum of variances."""
    squares = sum(part**2 / freedom for part, freedom in parts if freedom)
    whole = sampling + sum(part for part, _ in parts)
    most = CAP * sum(freedom for _, freedom in parts) or _MANY
    return min(whole**2 / squares, most) if squares > 0 else most


def _p_values(values: Numbers, errors: Numbers, freedom: Numbers) -> Numbers:
    known = errors > 0
    ratios = np.divide(np.abs(values), errors, out=np.zeros_like(errors), where=known)
    return np.where(known, 2 * special.stdtr(freedom, -ratios), 1.0)
