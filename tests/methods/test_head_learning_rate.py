"""``head_learning_rate`` is for the task head alone, in every built-in method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tiny_models import tiny_backbone

from sparsebench.method_registry import METHODS, configure, prepared

if TYPE_CHECKING:
    from torch import nn

    from sparsebench import Method

BODY, HEAD = 0.25, 0.5
TRAINS_ON_A_CPU = sorted(name for name in METHODS if name != "qlora")


def rates(method: Method, view: nn.Module) -> dict[str, float]:
    """Return the learning rate of every parameter that trains, by its name in the view."""
    names = {id(parameter): name for name, parameter in view.named_parameters()}
    return {
        names[id(parameter)]: group.get("lr", method.config.learning_rate)
        for group in method.parameter_groups(view)
        for parameter in group["params"]
    }


@pytest.mark.parametrize("name", TRAINS_ON_A_CPU)
def test_the_head_has_the_rate_and_nothing_else(name: str) -> None:
    method = configure(name, {"learning_rate": BODY, "head_learning_rate": HEAD})
    found = rates(method, prepared(method, tiny_backbone("bert")))
    head = {name: rate for name, rate in found.items() if "classifier." in name}
    assert len(head) == 2
    assert set(head.values()) == {HEAD}
    assert HEAD not in {rate for name, rate in found.items() if name not in head}


@pytest.mark.parametrize("name", TRAINS_ON_A_CPU)
def test_unset_it_changes_neither_groups_nor_settings(name: str) -> None:
    method = configure(name, {"learning_rate": BODY})
    found = rates(method, prepared(method, tiny_backbone("bert")))
    assert {rate for name, rate in found.items() if "classifier." in name} == {BODY}
    assert "head_learning_rate" not in method.config.model_dump(mode="json")


def test_vectors_of_the_head_have_no_weight_decay() -> None:
    method = configure("full", {"head_learning_rate": HEAD, "weight_decay": 0.1})
    view = prepared(method, tiny_backbone("bert"))
    decays = {
        parameter.ndim: group.get("weight_decay", 0.1)
        for group in method.parameter_groups(view)
        for parameter in group["params"]
        if group.get("lr") == HEAD
    }
    assert decays == {1: 0.0, 2: 0.1}


def test_a_wrapper_has_the_rate_of_the_method_that_it_wraps() -> None:
    inner = {"wraps": "lora", "settings": {"head_learning_rate": HEAD}}
    assert configure("deft", inner).config.head_learning_rate == HEAD
    method = configure("deft", {**inner, "head_learning_rate": 0.75})
    found = rates(method, prepared(method, tiny_backbone("bert")))
    assert {rate for name, rate in found.items() if "classifier." in name} == {0.75}
