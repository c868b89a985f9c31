"""Exports hold what the results hold, and other libraries read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from factories import make_costs, make_result
from huggingface_hub import ModelCard

from sparsebench.errors import UserError
from sparsebench.leaderboard.export import model_card, write_parquet
from sparsebench.results.records import Status
from sparsebench.schema.training import Protocol

if TYPE_CHECKING:
    from pathlib import Path

RESULTS = [
    make_result(0.8, task="rte", method="lora", settings={"r": 8}, costs=make_costs()),
    make_result(0.7, task="mrpc", method="lora", settings={"r": 8}),
]
FAILED = make_result(status=Status.OOM, reason="too large", method="full")


def test_parquet_has_a_row_a_run_whatever_became_of_it(tmp_path: Path) -> None:
    file = tmp_path / "runs.parquet"
    write_parquet([*RESULTS, FAILED], file)
    rows = {row["key"]: row for row in pq.read_table(file).to_pylist()}

    assert len(rows) == 3
    first = rows[RESULTS[0].key]
    assert (first["score"], first["settings.r"], first["costs.trainable"]) == (0.8, "8", 5000)
    assert first["costs.training_bytes"] == 300 * 2**20
    assert rows[FAILED.key]["score"] is None
    assert rows[FAILED.key]["reason"] == "too large"


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    write_parquet(RESULTS, tmp_path / "a")
    write_parquet(RESULTS[::-1], tmp_path / "b")

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_model_card_is_read_by_the_hub_library() -> None:
    card = ModelCard(model_card([*RESULTS, FAILED], name="tuned"))

    values = {(v.dataset_config, v.metric_type): v.metric_value for v in card.data.eval_results}
    assert values == {("rte", "accuracy"): 0.8, ("mrpc", "accuracy"): 0.7}
    assert card.data.model_name == "tuned"
    assert card.data.base_model == "minilm"


def test_a_card_is_of_one_model() -> None:
    with pytest.raises(UserError, match="of one model, and these runs are of 2"):
        model_card([*RESULTS, make_result(0.5, method="full")], name="x")
    with pytest.raises(UserError, match="of one protocol, and these runs are of last, paper"):
        model_card(
            [*RESULTS, make_result(0.5, task="cola", method="lora", protocol=Protocol.PAPER)],
            name="x",
        )
    again = make_result(0.9, task="rte", method="lora", budget="1 epochs")
    with pytest.raises(UserError, match=r"2 of these runs are on rte \(1 epochs, 3 epochs\)"):
        model_card([*RESULTS, again], name="x")
    with pytest.raises(UserError, match="no run has a score"):
        model_card([FAILED], name="x")


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        ("toy-mrpc", "text-classification"),
        ("toy-squad", "question-answering"),
        ("e2e", "text-generation"),
        ("not-installed", "text-classification"),
    ],
)
def test_a_card_names_the_kind_of_task(task: str, kind: str) -> None:
    card = ModelCard(model_card([make_result(0.8, task=task)], name="tuned"))

    assert [value.task_type for value in card.data.eval_results] == [kind]
