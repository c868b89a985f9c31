"""Bottleneck adapters: what trains, what is deployed, and under DEFT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from method_steps import largest_difference, predict, round_trip, snapshot, train_steps
from sparsebench_methods.adapter import Adapter, AdapterConfig
from tiny_models import KINDS, tiny_backbone, tiny_batch

from sparsebench import UserError
from sparsebench.deployed import read_record
from sparsebench.method_registry import configure
from sparsebench.models import Adapted, insert_bottlenecks
from sparsebench.profiling.closed_form import closed_form

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", KINDS)
def test_starts_as_the_backbone_and_trains_adapters_only(kind: str) -> None:
    backbone, method = tiny_backbone(kind), Adapter(AdapterConfig(reduction=4))
    batch = tiny_batch(backbone)
    before = predict(backbone.model.eval(), batch, backbone.form)
    view = method.prepare(backbone)
    assert largest_difference(predict(view, batch, backbone.form), before) == 0
    weights = snapshot(view)
    train_steps(method, view, batch, steps=3)
    for name, parameter in view.named_parameters():
        own = ".bottleneck." in name or name in backbone.head
        assert parameter.requires_grad == own
        assert torch.equal(parameter, weights[name]) != own, name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrapper", [None, "deft", "ada_deft"])
def test_ships(kind: str, wrapper: str | None, tmp_path: Path) -> None:
    backbone = tiny_backbone(kind)
    settings: dict[str, Any] = {"wraps": "adapter", "settings": {"reduction": 4}}
    if wrapper == "ada_deft":
        settings |= {"blocks": 1, "gate_learning_rate": 0.2, "gate_weight": 30}
    method = configure(wrapper, settings) if wrapper else Adapter(AdapterConfig(reduction=4))
    view, batch = method.prepare(backbone), tiny_batch(backbone)
    train_steps(method, view, batch, steps=3)
    in_training = predict(view, batch, backbone.form)
    deployed = method.deploy(view)
    before = predict(deployed, batch, backbone.form)
    scale = max(1.0, before[0].abs().max().item())
    assert largest_difference(before[:1], in_training[:1]) < 1e-5 * scale
    loaded = round_trip(deployed, backbone, tmp_path / "m")
    assert largest_difference(predict(loaded, batch, backbone.form), before) < 1e-6
    adapters = [module for module in loaded.modules() if isinstance(module, Adapted)]
    places = sum(len(block.attentions) + 1 for block in tiny_backbone(kind).anatomy.blocks)
    assert len(adapters) == places - (wrapper == "ada_deft")
    assert set(read_record(tmp_path / "m").bottlenecks.values()) == {8}


def test_sizes_and_arithmetic() -> None:
    backbone = tiny_backbone("bert")
    plain = closed_form(backbone.model, {"input_ids": (1, 10)})
    view = Adapter(AdapterConfig(places=("ffn_out",))).prepare(backbone)
    trained = sum(p.numel() for n, p in view.named_parameters() if "bottleneck" in n)
    assert trained == 3 * (2 * 32 * 2 + 2 + 32)
    assert closed_form(view, {"input_ids": (1, 10)}) - plain == 10 * 3 * 2 * 32 * 2


def test_no_such_place() -> None:
    with pytest.raises(UserError, match="no module"):
        insert_bottlenecks(tiny_backbone("bert").model, {"bert.x": 2})
