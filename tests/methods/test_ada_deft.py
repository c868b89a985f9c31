"""ADA-DEFT: gates, layer weights, networks dropped for good."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from method_steps import largest_difference, predict, round_trip, train_steps
from sparsebench_methods.ada_deft import ADADEFT, ADADEFTConfig, Drop, Gated, gates
from sparsebench_methods.deft import Metered
from tiny_models import KINDS, tiny_backbone, tiny_batch

from sparsebench.models import anatomy_of

if TYPE_CHECKING:
    from pathlib import Path

PROMPT = {"wraps": "peft", "settings": {"tuner": "prefix_tuning"}}
ON_FFN = {"settings": {"targets": ["ffn_in", "ffn_out"]}}


def ada_deft(**settings: Any) -> ADADEFT:
    return ADADEFT(ADADEFTConfig.model_validate({"max_share": 1.0, **settings}))


def set_gates(view: Any, values: list[float]) -> None:
    with torch.no_grad():
        for module, value in zip(gates(view).values(), values, strict=True):
            module.gate.fill_(value)


def left(model: Any) -> list[bool]:
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return [block.ffn is not None for block in anatomy_of(base).blocks]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("settings", [{}, PROMPT, ON_FFN])
def test_drops_folds_and_ships(kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
    backbone, method = tiny_backbone(kind), ada_deft(**settings)
    view, batch = method.prepare(backbone), tiny_batch(backbone)
    train_steps(method, view, batch)
    set_gates(view, [0.7, 0.05, 1.3, 0.9, 0.0, 0.2][: len(gates(view))])
    method.before_step(view, 1.0)
    in_training = predict(view.eval(), batch, backbone.form)
    deployed = method.deploy(view)
    assert left(deployed) == [True, False, True, True, False, True][: len(left(deployed))]
    assert not [m for m in deployed.modules() if isinstance(m, (Gated, Metered))]
    before = predict(deployed, batch, backbone.form)
    scale = max(1.0, before[0].abs().max().item())
    assert largest_difference(before[:1], in_training[:1]) < 1e-4 * scale
    after = predict(round_trip(deployed, backbone, tmp_path / "m"), batch, backbone.form)
    assert largest_difference(after, before) < 1e-5 * scale


@pytest.mark.parametrize("kind", KINDS)
def test_starts_as_the_backbone(kind: str) -> None:
    backbone = tiny_backbone(kind)
    batch = tiny_batch(backbone)
    before = predict(backbone.model.eval(), batch, backbone.form)
    view = ada_deft().prepare(backbone)
    assert largest_difference(predict(view.eval(), batch, backbone.form), before) < 1e-5


def test_the_penalty_weighs_gates_and_layers() -> None:
    weights = {"encoder_weight": 1.0, "decoder_weight": 1.0}
    method, backbone = ada_deft(gate_weight=3.0, padding=True, **weights), tiny_backbone("t5")
    view = method.prepare(backbone).train()
    set_gates(view, [0.0, 0.5, 1.0, 1.0, 1.0, 1.0])
    with torch.no_grad():
        for index, module in enumerate(gates(view).values()):
            module.importance.fill_(20.0 * (index in (1, 5)))  # all weight on one layer a stack
    seen: dict[str, torch.Tensor] = {}
    for block in backbone.anatomy.blocks:
        view.get_submodule(block.ffn.activation).register_forward_hook(
            lambda module, args, output, path=block.path: seen.update({path: output})
        )
    view(**tiny_batch(backbone))
    heavy = [seen["encoder.block.1"], seen["decoder.block.2"]]
    densities = sum((a**2 / (a**2 + 1e-7)).mean() for a in heavy)
    expected = densities + 3.0 * 4.5 / 6
    torch.testing.assert_close(method.penalty(view), expected, atol=1e-4, rtol=1e-4)


def test_the_penalty_trains_gates_and_layer_weights() -> None:
    method, backbone = ada_deft(gate_weight=3.0), tiny_backbone("bert")
    view = method.prepare(backbone).train()
    view(**tiny_batch(backbone))
    method.penalty(view).backward()
    found = list(gates(view).values())
    assert found[2].gate.grad.item() == pytest.approx(1.0)  # nothing comes after it
    assert all(module.importance.grad.abs() > 0 for module in found)


def test_gates_have_a_rate_of_their_own_and_stay_in_bounds() -> None:
    method, backbone = ada_deft(gate_learning_rate=0.25, gate_weight=30.0), tiny_backbone("bert")
    view = method.prepare(backbone)
    groups = method.parameter_groups(view)
    own = [group for group in groups if group.get("lr") == 0.25]
    assert [len(group["params"]) for group in own] == [6]
    everything = [id(p) for group in groups for p in group["params"]]
    trained = {id(p) for p in view.parameters() if p.requires_grad}
    assert sorted(everything) == sorted(trained)
    train_steps(method, view, tiny_batch(backbone), steps=8)
    values = [module.gate.item() for module in gates(view).values()]
    assert all(0 <= value <= 1 for value in values)
    assert min(values) == 0


@pytest.mark.parametrize("drop", Drop)
def test_baselines_drop_as_many(drop: Drop) -> None:
    def dropped(seed: int) -> list[bool]:
        backbone = tiny_backbone("bert", num_hidden_layers=8)
        torch.manual_seed(seed)
        method = ada_deft(drop=drop)
        view = method.prepare(backbone)
        with torch.no_grad():
            norms = [8, 3, 5, 1, 7, 2, 6, 4]
            for norm, block in zip(norms, backbone.anatomy.blocks, strict=True):
                block.ffn.down.weight(view).mul_(norm)
        train_steps(method, view, tiny_batch(backbone), steps=1, rate=0.0)
        set_gates(view, [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0])
        method.before_step(view, 1.0)
        return left(method.deploy(view))

    chosen = {seed: dropped(seed) for seed in range(4)}
    assert all(kept.count(False) == 3 for kept in chosen.values())
    expected = {
        Drop.GATE: [False, False, True, True, True, True, True, False],
        Drop.OUTPUT_NORM: [True, False, True, False, True, False, True, True],
    }
    if drop is Drop.RANDOM:
        assert len({tuple(kept) for kept in chosen.values()}) > 1
    else:
        assert all(kept == expected[drop] for kept in chosen.values())


def test_no_more_than_a_share_is_dropped() -> None:
    backbone, method = tiny_backbone("t5"), ada_deft(max_share=0.34)
    view = method.prepare(backbone)
    set_gates(view, [0.03, 0.01, 0.05, 0.02, 0.04, 1.0])
    method.before_step(view, 1.0)
    assert left(method.deploy(view)) == [True, False, True, False, True, True]


def test_a_given_number_of_blocks() -> None:
    backbone, method = tiny_backbone("gpt2"), ada_deft(blocks=2)
    view = method.prepare(backbone)
    set_gates(view, [0.9, 1.0, 0.8])
    method.before_step(view, 1.0)
    assert left(method.deploy(view)) == [False, True, False]


def test_resumes_in_the_middle() -> None:
    batch = tiny_batch(tiny_backbone("bert"))
    method = ada_deft(drop="output_norm", blocks=1)
    view = method.prepare(tiny_backbone("bert"))
    train_steps(method, view, batch)
    state = copy.deepcopy(view.state_dict())
    again, backbone = ada_deft(drop="output_norm", blocks=1), tiny_backbone("bert", seed=5)
    resumed = again.prepare(backbone)
    resumed.load_state_dict(state, strict=True)
    form = backbone.form
    assert (
        largest_difference(predict(resumed.eval(), batch, form), predict(view.eval(), batch, form))
        == 0
    )
    assert left(again.deploy(resumed)) == left(method.deploy(view))
