"""The details of a row, shown when it is opened: terms, environment, curves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class LossCurve:
    """The training loss of one run.

    Attributes:
        task: The name of the task.
        seed: The seed of the run.
        points: Step and loss, in order.
    """

    task: str
    seed: int
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class RowDetails:
    """The details of a row, which tables have no room for.

    Attributes:
        terms: The terms that all its runs share, ``varies`` where they differ, with dotted keys
            such as ``training.batch_size``.
        budgets: Name of a task -> the budget of its runs.
        machines: The devices that its runs were trained on.
        platforms: Their operating systems.
        versions: Package -> the versions that its runs were trained with.
        commits: The commits of the package.
        dates: The first and the last day on which a run ended; empty where not recorded.
        uncertainties: Name of a cost -> how far its value may lie below and above: for the latency,
            the 95 % confidence interval, and for other costs the range over the seeds of a task.
            Without those that are certain.
        curves: The loss curves, by task and seed.
    """

    terms: Mapping[str, str] = field(default_factory=dict)
    budgets: Mapping[str, str] = field(default_factory=dict)
    machines: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    versions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    commits: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    uncertainties: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    curves: tuple[LossCurve, ...] = ()
