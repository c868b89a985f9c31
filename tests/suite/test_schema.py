"""A suite describes runs on equal terms."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sparsebench.schema.training import Budget, Training
from sparsebench.suite import RESERVED, Suite, cells, training_for


def make_suite(**changed: Any) -> Suite:
    parts = {"name": "s", "tasks": ["mrpc", "rte"], "models": ["quick/bert"], "methods": ["full"]}
    return Suite.model_validate({**parts, **changed})


def test_cells_are_every_combination_with_the_methods_of_one_setting_together() -> None:
    suite = make_suite(models=["a", "b"], methods=["full", "lora"], seeds=[1, 2])
    found = list(cells(suite))
    assert len(found) == len(set(found)) == 2 * 2 * 2 * 2
    assert found[:4] == [
        ("mrpc", "a", "full", 1),
        ("mrpc", "a", "lora", 1),
        ("mrpc", "a", "full", 2),
        ("mrpc", "a", "lora", 2),
    ]


def test_a_task_may_have_a_budget_of_its_own_and_shares_all_else() -> None:
    tasks = {"mrpc": {"budget": "230 steps", "max_length": 64}, "rte": None}
    suite = make_suite(tasks=tasks, training={"budget": "3 epochs", "batch_size": 16})
    own, shared = training_for(suite, "mrpc"), training_for(suite, "rte")
    assert (str(own.budget), own.max_length, own.batch_size) == ("230 steps", 64, 16)
    assert shared == suite.training


def test_every_key_of_a_method_but_its_name_is_a_setting() -> None:
    suite = make_suite(methods={"lora-16": {"method": "lora", "r": 16}, "full": None})
    assert suite.methods["lora-16"].method == "lora"
    assert suite.methods["lora-16"].settings == {"r": 16}
    assert suite.methods["full"].settings == {}


@pytest.mark.parametrize("label", RESERVED)
def test_no_method_is_labelled_like_a_section(label: str) -> None:
    with pytest.raises(ValidationError, match="cannot have the label"):
        make_suite(methods={label: {"method": "full"}})


@pytest.mark.parametrize("label", ["a/b", "../a", "", "-a", "a b", "a" * 81])
def test_a_label_is_safe_in_a_path(label: str) -> None:
    with pytest.raises(ValidationError):
        make_suite(methods=[label])


@pytest.mark.parametrize("methods", [[{"lora": {"r": 16}}], [1], "full", 3])
def test_a_list_holds_names_only(methods: object) -> None:
    with pytest.raises(ValidationError):
        make_suite(methods=methods)


@pytest.mark.parametrize(
    ("written", "steps"),
    [("230 steps", 230), ("1 step", 1), ("3 epochs", 12), ("0.5 epochs", 2), ("0.01 epochs", 1)],
)
def test_a_budget_counts_steps_of_whole_batches(written: str, steps: int) -> None:
    budget = Training.model_validate({"budget": written}).budget
    assert budget.steps(examples=100, batch_size=32) == steps


@pytest.mark.parametrize("written", ["3", "three epochs", "3 hours", "-1 steps", "0 steps", 3])
def test_what_is_no_budget_is_refused(written: object) -> None:
    with pytest.raises(ValidationError):
        Training.model_validate({"budget": written})


@pytest.mark.parametrize("written", ["230 steps", "3 epochs", "0.5 epochs"])
def test_a_budget_is_stored_as_it_is_written(written: str) -> None:
    training = Training.model_validate({"budget": written})
    stored = training.model_dump(mode="json")
    assert stored["budget"] == written
    assert Training.model_validate(stored) == training


def test_micro_batches_fill_a_batch() -> None:
    assert Training(batch_size=32, micro_batch_size=8).micro_batch_size == 8
    with pytest.raises(ValidationError, match="not a multiple"):
        Training(batch_size=32, micro_batch_size=5)


@pytest.mark.parametrize(
    ("micro", "devices", "size"),
    [(None, 1, 32), (None, 2, 16), (8, 1, 8), (8, 2, 8), (32, 4, 8), (16, 4, 8), (1, 32, 1)],
)
def test_devices_share_a_batch(micro: int | None, devices: int, size: int) -> None:
    assert Training(batch_size=32, micro_batch_size=micro).micro_batch(devices) == size


@pytest.mark.parametrize(("batch", "micro", "devices"), [(32, None, 3), (2, None, 4), (24, 8, 2)])
def test_a_batch_that_devices_cannot_share_is_told(
    batch: int, micro: int | None, devices: int
) -> None:
    with pytest.raises(ValueError, match=f"batch_size {batch} .*{devices} devices"):
        Training(batch_size=batch, micro_batch_size=micro).micro_batch(devices)


def test_a_suite_does_not_change() -> None:
    with pytest.raises(ValidationError):
        make_suite().training.budget = Budget(amount=1, unit="steps")


@pytest.mark.parametrize("seconds", [float("inf"), float("nan")])
def test_numbers_are_finite(seconds: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        make_suite(costs={"seconds": seconds})
