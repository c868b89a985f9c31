"""The leaderboard of 10,000 results with their predictions, in CPU seconds.

pytest benchmarks/test_leaderboard.py -s
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from factories import make_costs, make_result

from sparsebench.results import Store

if TYPE_CHECKING:
    from pathlib import Path

METHODS, TASKS, SEEDS, EXAMPLES = 1000, ("mrpc", "rte"), 5, 300


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of 1,000 methods on two tasks with five seeds, and 300 predictions each."""
    store = Store(tmp_path_factory.mktemp("many"))
    generator = np.random.default_rng(0)
    right = generator.integers(0, 2, EXAMPLES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        for method in range(METHODS):
            costs = make_costs(trainable=10 ** (method % 6 + 1))
            for task in TASKS:
                for seed in range(SEEDS):
                    wrong = generator.random(EXAMPLES) < 0.2
                    answers = np.where(wrong, 1 - right, right)
                    name, score = f"method-{method}", float((answers == right).mean())
                    result = make_result(score, method=name, task=task, seed=seed, costs=costs)
                    rows = [
                        {"split": "validation", "id": str(at), "prediction": a, "reference": r}
                        for at, (a, r) in enumerate(
                            zip(answers.tolist(), right.tolist(), strict=True)
                        )
                    ]
                    store.write(result, predictions=rows)
    return store.root


@pytest.mark.parametrize("form", ["md", "html"])
def test_ten_thousand_results(results: Path, tmp_path: Path, form: str) -> None:
    script = (
        "import sys, time; from sparsebench.cli import main\n"
        "try: main()\n"
        "finally: print(f'{time.process_time():.1f}', file=sys.stdout)\n"
    )
    arguments = ["leaderboard", str(results), "--output", str(tmp_path / f"board.{form}")]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
    )
    seconds = float(done.stdout.splitlines()[-1])
    print(f"{form}: {seconds} CPU seconds")

    assert (tmp_path / f"board.{form}").stat().st_size > 100_000
    assert seconds < 10
