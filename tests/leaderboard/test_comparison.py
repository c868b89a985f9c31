"""Two methods are compared on what both have, and no more is claimed than that shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from factories import make_answered, make_result

from sparsebench.errors import UnknownNameError, UserError
from sparsebench.leaderboard import compare
from sparsebench.results.predictions import Predictions

if TYPE_CHECKING:
    from sparsebench.leaderboard.comparison import Comparison
    from sparsebench.results.records import RunResult


class Runs:
    """Runs with their predictions, kept in memory."""

    def __init__(self) -> None:
        self.results: list[RunResult] = []
        self._answers: dict[str, dict[str, Predictions]] = {}

    def add(self, answers: np.ndarray, right: np.ndarray, **spec: Any) -> None:
        result, rows = make_answered(answers.tolist(), right.tolist(), **spec)
        self.results.append(result)
        columns = [tuple(row[name] for row in rows) for name in ("id", "prediction", "reference")]
        self._answers[result.key] = {"validation": Predictions(*columns)}

    def compare(self, first: str, second: str) -> list[Comparison]:
        return compare(
            self.results, first, second, read=lambda result: self._answers.get(result.key)
        )


def runs(*, wrong: dict[str, float], task: str = "rte", seeds: int = 3) -> Runs:
    """Methods that answer a share of the examples wrongly."""
    generator, made = np.random.default_rng(0), Runs()
    right = generator.integers(0, 2, 300)
    for method, share in wrong.items():
        for seed in range(seeds):
            flipped = generator.random(300) < share
            made.add(
                np.where(flipped, 1 - right, right), right, task=task, method=method, seed=seed
            )
    return made


def test_a_clear_difference_is_found_and_its_parts_add_up() -> None:
    (found,) = runs(wrong={"full": 0.1, "lora": 0.4}).compare("full", "lora")
    (task,) = found.tasks

    assert task.difference.value == pytest.approx(task.first - task.second)
    assert task.difference.p_value is not None
    assert task.difference.p_value < 0.01
    assert [test.test.name for test in task.tests if test.test] == ["McNemar"] * 3
    assert np.mean([test.difference for test in task.tests]) == pytest.approx(task.difference.value)
    assert found.overall == task.difference


def test_turned_around_it_is_the_same() -> None:
    made = runs(wrong={"full": 0.2, "lora": 0.25}, task="mrpc")
    (one,), (other,) = made.compare("full", "lora"), made.compare("lora", "full")

    assert one.overall is not None
    assert other.overall is not None
    assert one.overall.value == pytest.approx(-other.overall.value)
    assert one.overall.p_value == pytest.approx(other.overall.p_value)
    assert {test.test.name for test in one.tasks[0].tests if test.test} == {"paired bootstrap"}


def test_a_seed_that_one_lacks_is_left_out() -> None:
    made = runs(wrong={"full": 0.1, "lora": 0.1})
    made.results.pop()

    assert [test.seed for test in made.compare("full", "lora")[0].tasks[0].tests] == [0, 1]


def test_other_examples_are_not_paired() -> None:
    made = runs(wrong={"full": 0.1}, seeds=2)
    right = np.random.default_rng(9).integers(0, 2, 300)
    for seed in range(2):
        made.add(right, right, task="rte", method="lora", seed=seed)

    (found,) = made.compare("full", "lora")
    assert found.tasks[0].difference.sampling_error is None
    assert [test.test for test in found.tasks[0].tests] == [None, None]


def test_without_predictions_the_seeds_are_all_there_is() -> None:
    results = [
        make_result(score + seed / 100, method=method, seed=seed)
        for method, score in (("full", 0.9), ("lora", 0.7))
        for seed in (1, 2)
    ]
    (found,) = compare(results, "full", "lora", read=lambda _: None)

    assert found.tasks[0].difference.value == pytest.approx(0.2)
    assert found.tasks[0].difference.sampling_error is None


def test_unknown_names_and_nothing_in_common_are_told() -> None:
    results = [make_result(method="full", task="rte"), make_result(method="lora", task="mrpc")]

    with pytest.raises(UnknownNameError, match="did you mean 'lora'"):
        compare(results, "full", "lorra", read=lambda _: None)
    with pytest.raises(UserError, match="no task and seed in common"):
        compare(results, "full", "lora", read=lambda _: None)
    with pytest.raises(UserError, match="full is compared with itself"):
        compare(results, "full", "full", read=lambda _: None)
