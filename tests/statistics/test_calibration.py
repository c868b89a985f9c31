"""Ranks and intervals hold what they promise, on leaderboards whose truth is known.

A simulated leaderboard has methods of known quality, seeds that make a model better or worse as a
whole, examples that are hard for all, and luck of each model on each example.
"""

from __future__ import annotations

import numpy as np
import pytest

from sparsebench.statistics import LEVEL, Panel, Standing, estimate, pairwise, standings

BOARDS = 200
TASKS, EXAMPLES = 3, 300
METHODS = 6
BETTER = METHODS - 1
"""The method that is truly better in half of the simulations."""


def simulate(
    generator: np.random.Generator, *, seeds: int, seed_spread: float, lead: float
) -> list[list[Panel]]:
    """One leaderboard: accuracy of equally good methods, and of one that leads by some logits."""
    hardness = generator.normal(1.0, 1.2, (TASKS, 1, EXAMPLES))
    luck = generator.normal(0, seed_spread, (METHODS, TASKS, seeds, 1))
    skill = np.where(np.arange(METHODS) == BETTER, lead, 0.0)[:, None, None, None]
    chance = 1 / (1 + np.exp(-(hardness + luck + skill)))
    correct = (generator.random(chance.shape) < chance).astype(float)
    scores = correct.mean(-1)
    terms = (correct - scores[..., None]).mean(2) / EXAMPLES
    return [[Panel(scores[m, t], terms[m, t]) for t in range(TASKS)] for m in range(METHODS)]


def ranked(board: list[list[Panel]]) -> list[Standing]:
    means = [float(np.mean([panel.scores.mean() for panel in row])) for row in board]
    return standings(means, pairwise(board))


def standard_error(rate: float) -> float:
    return float(np.sqrt(rate * (1 - rate) / BOARDS))


@pytest.mark.parametrize("seeds", [2, 5])
@pytest.mark.parametrize("seed_spread", [0.0, 0.2, 0.5])
def test_copies_of_one_method_are_tied(seeds: int, seed_spread: float) -> None:
    generator = np.random.default_rng(7)
    boards = [
        simulate(generator, seeds=seeds, seed_spread=seed_spread, lead=0) for _ in range(BOARDS)
    ]
    false_alarms = sum(any(s.rank > 1 for s in ranked(board)) for board in boards)

    assert false_alarms / BOARDS <= LEVEL + 2 * standard_error(LEVEL)


@pytest.mark.parametrize(("seeds", "seed_spread", "power"), [(3, 0.1, 0.9), (5, 0.2, 0.95)])
def test_a_truly_better_method_stands_alone(seeds: int, seed_spread: float, power: float) -> None:
    generator = np.random.default_rng(8)
    boards = [
        simulate(generator, seeds=seeds, seed_spread=seed_spread, lead=0.8) for _ in range(BOARDS)
    ]
    found = sum(ranked(board)[BETTER] == Standing(1, alone=True) for board in boards)

    assert found / BOARDS >= power


@pytest.mark.parametrize("seeds", [2, 5])
@pytest.mark.parametrize("seed_spread", [0.0, 0.2, 0.5])
def test_intervals_hold_the_truth(seeds: int, seed_spread: float) -> None:
    """The truth is the mean over all seeds and examples, by quadrature of a large sample."""
    generator = np.random.default_rng(9)
    logits = generator.normal(1.0, np.hypot(1.2, seed_spread), 400_000)
    truth = float((1 / (1 + np.exp(-logits))).mean())
    held = []
    for _ in range(BOARDS):
        for row in simulate(generator, seeds=seeds, seed_spread=seed_spread, lead=0):
            low, high = estimate(row).interval or (0.0, 0.0)
            held.append(low <= truth <= high)

    assert np.mean(held) >= 0.94
