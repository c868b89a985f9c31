"""Leaderboards whose truth is known.

A simulated leaderboard has methods of known quality, seeds that make a model better or worse as a
whole, examples that are hard for all, and luck of each model on each example.
"""

from __future__ import annotations

import numpy as np

from sparsebench.statistics import Standing, TaskScores, estimate, pairwise, standings

TASKS, EXAMPLES, METHODS = 3, 300, 6
BETTER = METHODS - 1
"""The method that is truly better where there is a lead."""

HARDNESS = 1.0, 1.2
"""Mean and spread of the logits of examples."""


def simulate(
    generator: np.random.Generator, *, seeds: int, seed_spread: float, lead: float
) -> list[list[TaskScores]]:
    """One leaderboard: accuracy of equally good methods, and of one that leads by some logits."""
    hardness = generator.normal(*HARDNESS, (TASKS, 1, EXAMPLES))
    luck = generator.normal(0, seed_spread, (METHODS, TASKS, seeds, 1))
    skill = np.where(np.arange(METHODS) == BETTER, lead, 0.0)[:, None, None, None]
    chance = 1 / (1 + np.exp(-(hardness + luck + skill)))
    correct = (generator.random(chance.shape) < chance).astype(float)
    scores = correct.mean(-1)
    terms = (correct - scores[..., None]).mean(2) / EXAMPLES
    return [[TaskScores(scores[m, t], terms[m, t]) for t in range(TASKS)] for m in range(METHODS)]


def ranked(board: list[list[TaskScores]]) -> list[Standing]:
    means = [float(np.mean([panel.scores.mean() for panel in row])) for row in board]
    return standings(means, pairwise(board))


def any_difference(standing: list[Standing]) -> bool:
    """Whether any method is said to be better than another."""
    return any(each.rank > 1 for each in standing)


def held(board: list[list[TaskScores]], *, truth: float) -> list[bool]:
    """Whether the interval of each method holds the truth."""
    intervals = [estimate(row).interval or (1.0, 0.0) for row in board]
    return [low <= truth <= high for low, high in intervals]


def true_mean(generator: np.random.Generator, *, seed_spread: float) -> float:
    """The mean score over all seeds and examples, of a large sample."""
    mean, spread = HARDNESS
    logits = generator.normal(mean, np.hypot(spread, seed_spread), 400_000)
    return float((1 / (1 + np.exp(-logits))).mean())
