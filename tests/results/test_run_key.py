"""The key of a run changes with all that decides its scores, and with nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from factories import make_spec

from sparsebench.results.store import run_key
from sparsebench.schema.spec import RunSpec
from sparsebench.schema.training import HeldOut, Protocol

SPEC = make_spec(
    settings={"r": 16, "targets": ["query", "value"]},
    protocol=Protocol.HELD_OUT,
    held_out=HeldOut(),
)

CHANGES: dict[str, Any] = {
    "task": "rte",
    "task_version": "2",
    "model": "bert",
    "model_fingerprint": "f1",
    "pooler": "head",
    "method.label": "lora-16",
    "method.name": "peft",
    "method.version": "2",
    "method.settings.r": 8,
    "method.settings.targets": ["query", "key"],
    "seed": 2,
    "protocol": "paper",
    "training.budget": "1000001 steps",
    "training.batch_size": 16,
    "training.micro_batch_size": 8,
    "training.max_length": 64,
    "training.schedule": "cosine",
    "training.warmup": 0.1,
    "training.dropout": 0.0,
    "training.clip": None,
    "training.precision": "fp32",
    "training.group_by_length": False,
    "training.calibration": "free",
    "training.pad_to_max_length": True,
    "training.label_smoothing": 0.1,
    "held_out.share": 0.2,
    "held_out.evaluations": 6,
    "held_out.seed": 1,
    "generation": {},
    "data_fingerprint": "d1",
    "teacher": {"name": "full", "row": True, "fingerprint": "0" * 16},
}


IDLE: dict[str, Any] = {
    "training.checkpoint_every": 100,
    "training.report_to": ["tensorboard"],
}
"""What changes no score."""


def leaves(content: dict[str, Any], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, value in content.items():
        path = f"{prefix}{name}"
        found |= leaves(value, f"{path}.") if isinstance(value, dict) else {path}
    return found


def changed(path: str, value: object) -> RunSpec:
    content = SPEC.model_dump(mode="json")
    *parents, last = path.split(".")
    place = content
    for name in parents:
        place = place[name]
    place[last] = value
    return RunSpec.model_validate(content)


def test_every_field_of_a_spec_is_tried_here() -> None:
    assert {*CHANGES, *IDLE} == leaves(SPEC.model_dump(mode="json"))


@pytest.mark.parametrize("path", CHANGES)
def test_what_decides_scores_changes_the_key(path: str) -> None:
    assert run_key(changed(path, CHANGES[path])) != run_key(SPEC)


@pytest.mark.parametrize("path", IDLE)
def test_what_changes_no_score_does_not_change_the_key(path: str) -> None:
    assert run_key(changed(path, IDLE[path])) == run_key(SPEC)


@pytest.mark.parametrize("term", [{"beams": 2}, {"length_penalty": 0.8}, {"no_repeat_ngram": 4}])
def test_how_text_is_generated_changes_the_key(term: dict[str, Any]) -> None:
    assert run_key(changed("generation", term)) != run_key(changed("generation", {}))


def test_all_changes_give_different_keys() -> None:
    keys = {run_key(changed(path, value)) for path, value in CHANGES.items()}

    assert len(keys) == len(CHANGES)


def test_budgets_that_differ_by_one_step_in_a_million_have_their_own_keys() -> None:
    assert run_key(make_spec(budget="1000001 steps")) != run_key(make_spec(budget="1000002 steps"))


def test_a_key_stays_what_it_was() -> None:
    """A change of this value means that no result made before is found any more."""
    assert run_key(SPEC) == "73b5c743de162f79"


def test_a_key_survives_the_way_through_a_file() -> None:
    text = SPEC.model_dump_json()

    assert run_key(RunSpec.model_validate(json.loads(text))) == run_key(SPEC)


def test_the_order_of_settings_is_nothing() -> None:
    first = make_spec(settings={"a": 1, "b": {"c": 2, "d": 3}})
    second = make_spec(settings={"b": {"d": 3, "c": 2}, "a": 1})

    assert run_key(first) == run_key(second)


def test_a_tuple_of_settings_is_as_good_as_a_list() -> None:
    assert run_key(make_spec(settings={"a": (1, 2)})) == run_key(make_spec(settings={"a": [1, 2]}))
