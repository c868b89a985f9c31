"""Ranks and intervals have their nominal error rates on simulated leaderboards."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_boards import BETTER, any_difference, held, ranked, simulate, true_mean

from sparsebench.statistics import LEVEL, Standing

BOARDS = 200


def standard_error(rate: float) -> float:
    return float(np.sqrt(rate * (1 - rate) / BOARDS))


@pytest.mark.parametrize("seeds", [2, 5])
@pytest.mark.parametrize("seed_spread", [0.0, 0.2, 0.5])
def test_copies_of_one_method_are_tied(seeds: int, seed_spread: float) -> None:
    generator = np.random.default_rng(7)
    boards = [
        simulate(generator, seeds=seeds, seed_spread=seed_spread, lead=0) for _ in range(BOARDS)
    ]
    false_alarms = sum(any_difference(ranked(board)) for board in boards)

    assert false_alarms / BOARDS <= LEVEL + 2 * standard_error(LEVEL)


@pytest.mark.parametrize(("seeds", "seed_spread", "power"), [(3, 0.1, 0.9), (5, 0.2, 0.95)])
def test_a_truly_better_method_stands_alone(seeds: int, seed_spread: float, power: float) -> None:
    generator = np.random.default_rng(8)
    boards = [
        simulate(generator, seeds=seeds, seed_spread=seed_spread, lead=0.8) for _ in range(BOARDS)
    ]
    found = sum(ranked(board)[BETTER] == Standing((), alone=True) for board in boards)

    assert found / BOARDS >= power


@pytest.mark.parametrize("seeds", [2, 5])
@pytest.mark.parametrize("seed_spread", [0.0, 0.2, 0.5])
def test_intervals_hold_the_truth(seeds: int, seed_spread: float) -> None:
    generator = np.random.default_rng(9)
    truth = true_mean(generator, seed_spread=seed_spread)
    known = [
        simulate(generator, seeds=seeds, seed_spread=seed_spread, lead=0) for _ in range(BOARDS)
    ]

    assert np.mean([held(board, truth=truth) for board in known]) >= 0.94
