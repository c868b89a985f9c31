"""Calibration of ranks and confidence intervals: the table of docs/reading-the-leaderboard.md.

pytest benchmarks/test_calibration.py -s
"""

from __future__ import annotations

import numpy as np
import pytest
from simulated_boards import BETTER, any_difference, held, ranked, simulate, true_mean

from sparsebench.statistics import Standing

BOARDS = 1000
LEAD = 0.8


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("spread", [0.0, 0.2, 0.5])
def test_calibration(seeds: int, spread: float) -> None:
    generator = np.random.default_rng(7)
    terms = {"seeds": seeds, "seed_spread": spread}
    truth = true_mean(generator, seed_spread=spread)
    equal = [simulate(generator, lead=0, **terms) for _ in range(BOARDS)]
    led = [simulate(generator, lead=LEAD, **terms) for _ in range(BOARDS)]
    alarms = np.mean([any_difference(ranked(board)) for board in equal])
    alone = np.mean([ranked(board)[BETTER] == Standing(1, alone=True) for board in led])
    covered = np.mean([held(board, truth=truth) for board in equal])
    print(f"| {seeds} | {spread} | {alarms:.1%} | {alone:.0%} | {covered:.1%} |")

    assert alarms <= 0.065
    assert covered >= 0.945
