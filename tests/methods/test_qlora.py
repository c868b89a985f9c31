"""QLoRA: refused without bitsandbytes; with it, what trains and what is deployed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
import torch
from method_steps import largest_difference, predict, round_trip, train_steps
from sparsebench_methods import qlora
from sparsebench_methods.qlora import QLoRA, QLoRAConfig, Quantized
from tiny_models import KINDS, tiny_backbone, tiny_batch

from sparsebench import UserError
from sparsebench.models import Role

if TYPE_CHECKING:
    from pathlib import Path

with_library = pytest.mark.skipif(
    find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed"
)


def test_is_refused_where_the_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qlora, "find_spec", lambda name: None)
    backbone = tiny_backbone("bert")
    assert "bitsandbytes" in QLoRA().refuses(backbone.family, backbone.form)
    with pytest.raises(UserError, match="pip install"):
        QLoRA().prepare(backbone)


@with_library
@pytest.mark.parametrize("kind", KINDS)
def test_ships_a_plain_model(kind: str, tmp_path: Path) -> None:
    backbone, method = tiny_backbone(kind), QLoRA(QLoRAConfig(rank=4))
    names = set(backbone.model.state_dict())
    view, batch = method.prepare(backbone), tiny_batch(backbone)
    train_steps(method, view, batch)
    in_training = predict(view, batch, backbone.form)
    deployed = method.deploy(view)
    before = predict(deployed, batch, backbone.form)
    scale = max(1.0, before[0].abs().max().item())
    assert largest_difference(before[:1], in_training[:1]) < 1e-4 * scale
    assert set(deployed.state_dict()) == names
    after = predict(round_trip(deployed, backbone, tmp_path / "m"), batch, backbone.form)
    assert largest_difference(after, before) < 1e-6


@with_library
@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_frozen_weights_take_four_bits(kind: str) -> None:
    backbone = tiny_backbone(kind)
    whole = {m: m.weight(backbone.model).detach().clone() for m in backbone.anatomy.matrices()}
    view = QLoRA(QLoRAConfig(rank=4)).prepare(backbone)
    stored = [m for m in view.modules() if isinstance(m, Quantized)]
    entries = sum(weight.numel() for weight in whole.values())
    assert sum(m.packed.nbytes for m in stored) == entries // 2
    for matrix, weight in whole.items():
        error = (matrix.weight(view) - weight).abs().mean() / weight.abs().mean()
        assert 0.001 < error < 0.2
    trained = {name for name, p in view.named_parameters() if p.requires_grad}
    assert trained == {n for n in trained if ".branches." in n or n in backbone.head}
    assert sum(".A" in name for name in trained) == len(whole)


@with_library
def test_learns_through_the_quantised_weight() -> None:
    backbone, method = tiny_backbone("bert"), QLoRA(QLoRAConfig(rank=4))
    view = method.prepare(backbone)
    losses = [train_steps(method, view, tiny_batch(backbone), steps=4) for _ in range(4)]
    assert losses[-1] < losses[0]
    first = next(backbone.anatomy.matrices(Role.QUERY))
    assert torch.any(view.get_submodule(first.path).branches["query"].B != 0)
