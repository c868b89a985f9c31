"""The majority class, constant predictions, differences to the dense row, footnotes."""

from __future__ import annotations

from typing import Any

import pytest
from factories import make_answered, make_result
from sklearn.metrics import accuracy_score, f1_score

from sparsebench.leaderboard.build import build
from sparsebench.leaderboard.formats import FORMATS
from sparsebench.results.predictions import Predictions

LABELS = [1, 1, 1, 0, 1, 0, 1, 1, 0, 1] * 12
"""70 % of them are 1."""


class Board:
    """Collects runs with their predictions, and builds their leaderboard."""

    def __init__(self) -> None:
        self.results: list[Any] = []
        self._answers: dict[str, dict[str, Predictions]] = {}

    def add(self, answers: list[Any], references: list[Any] = LABELS, **spec: Any) -> None:
        result, rows = make_answered(answers, references, **spec)
        columns = ([row[name] for row in rows] for name in ("id", "prediction", "reference"))
        self._answers[result.key] = {"validation": Predictions(*map(tuple, columns))}
        self.results.append(result)

    def group(self) -> Any:
        (group,) = self._built().groups
        return group

    def text(self, format_: str = "md") -> str:
        return FORMATS[format_](self._built())

    def _built(self) -> Any:
        return build(self.results, read=lambda result: self._answers.get(result.key))


def wrong(*places: int) -> list[int]:
    """Return answers that are right but in some places."""
    return [1 - label if at in places else label for at, label in enumerate(LABELS)]


def test_the_majority_class_has_the_score_of_its_constant() -> None:
    board = Board()
    board.add(wrong(3), method="full", task="mrpc")
    board.add(wrong(3), method="full", task="cola")
    board.add([0.5, 4.0, 2.5], [1.0, 3.0, 2.0], method="full", task="stsb")
    group = board.group()
    found = {column.task: column.baseline for column in group.columns}
    ones = [1] * len(LABELS)
    mrpc = (accuracy_score(LABELS, ones) + f1_score(LABELS, ones)) / 2
    assert found == {"mrpc": pytest.approx(mrpc), "cola": 0.0, "stsb": 0.0}
    assert group.baseline == pytest.approx(mrpc / 3)


def test_texts_have_no_majority_class() -> None:
    board = Board()
    board.add(["a", "b"], [["a", "b"], ["b"]], method="full", task="squad")
    group = board.group()
    assert [column.baseline for column in group.columns] == [None]
    assert group.baseline is None
    assert "majority" not in board.text()


def test_without_predictions_nothing_is_claimed() -> None:
    (group,) = build([make_result(0.7, method="full"), make_result(0.7, method="lora")]).groups
    assert group.baseline is None
    assert all(row.to_dense is None for row in group.rows)
    assert not any(cell.constant for row in group.rows for cell in row.cells)


def test_constant_cells_and_rows_below_the_majority_are_marked() -> None:
    board = Board()
    board.add(wrong(*range(20)), method="full", seed=1)
    board.add(wrong(*range(20)), method="full", seed=2)
    board.add([1] * len(LABELS), method="lora", seed=1)
    board.add(wrong(*range(20, 60)), method="lora", seed=2)
    group = board.group()
    cells = {row.name: row.cells[0].constant for row in group.rows}
    assert cells == {"full": (), "lora": (1,)}
    below = {row.name: group.is_below_baseline(row) for row in group.rows}
    assert below == {"full": False, "lora": True}

    lines = {line.split("|")[1].strip(): line for line in board.text().splitlines() if "|" in line}
    assert "‡" in lines["lora"]
    assert "§" in lines["lora"]
    assert "‡" not in lines["full"]
    assert "§" not in lines["full"]
    assert "_majority class_" in lines
    assert "predicts the same for all examples: lora on mrpc (1 of 2 seeds)" in board.text()
    assert r"$\ddagger$" in board.text("tex")
    assert "<tfoot>" in board.text("html")


def test_a_small_but_steady_difference_is_found_although_intervals_overlap() -> None:
    board = Board()
    hard = tuple(range(0, 120, 4))
    for seed in (1, 2, 3):
        board.add(wrong(*hard), method="full", seed=seed)
        board.add(wrong(*hard, *range(1, 21, 2)), method="lora", seed=seed)
    group = board.group()
    rows = {row.name: row for row in group.rows}
    found = rows["lora"].to_dense
    assert group.dense == "full"
    assert rows["full"].to_dense is None
    assert found.value == pytest.approx(rows["lora"].average.value - rows["full"].average.value)
    assert found.is_significant
    overlap = sum(row.average.confidence_interval.half_width for row in rows.values())
    assert abs(found.value) < overlap
    assert "Δ full" in board.text()


def test_the_best_of_several_dense_rows_is_compared_with() -> None:
    board = Board()
    for budget, places in (("60 steps", range(30)), ("200 steps", range(9))):
        board.add(wrong(*places), method="full", budget=budget)
    board.add(wrong(*range(12)), method="lora", budget="200 steps")
    group = board.group()
    best = max(group.rows, key=lambda row: row.average.value)
    assert group.dense == best.name
    assert best.name in {"full #1", "full #2"}


def test_footnotes_say_where_the_rows_come_from() -> None:
    board = Board()
    board.add(wrong(1), method="full")
    board.add(wrong(2), method="lora")
    text = board.text()
    for note in ("- budget: ", "- machine: ", "- versions: ", "- dates: ", "- papers: lora https"):
        assert note in text
    assert "- budget" not in board.text("tex")
