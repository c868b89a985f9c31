"""DEFT: what is measured, what trains, what is deployed."""

from __future__ import annotations

import copy
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import pytest
import torch
from method_steps import largest_difference, predict, round_trip, train_steps
from sparsebench_methods.deft import DEFT, DEFTConfig, Metered, densities
from sparsebench_methods.lora import LoRA
from tiny_models import KINDS, tiny_backbone, tiny_batch

from sparsebench import UserError
from sparsebench.method_registry import METHODS, configure
from sparsebench.models import anatomy_of
from sparsebench.registry import Entry

if TYPE_CHECKING:
    from pathlib import Path

    from sparsebench import Backbone

PROMPT = {"wraps": "peft", "settings": {"tuner": "prefix_tuning"}}


def deft(**settings: Any) -> DEFT:
    return DEFT(DEFTConfig.model_validate(settings))


def activations(backbone: Backbone, model: Any) -> dict[str, torch.Tensor]:
    """Returns what the activation functions of a plain model return, by block."""
    seen: dict[str, torch.Tensor] = {}
    handles = [
        model.get_submodule(block.ffn.activation).register_forward_hook(
            lambda module, args, output, path=block.path: seen.update({path: output})
        )
        for block in anatomy_of(model).blocks
    ]
    with torch.no_grad():
        model(**tiny_batch(backbone))
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("padding", [False, True])
def test_density_of_every_layer(kind: str, *, padding: bool) -> None:
    backbone = tiny_backbone(kind)
    method = deft(eps=1e-2, padding=padding)
    batch = tiny_batch(backbone)
    real = {"encoder": batch["attention_mask"].bool(), "decoder": batch["attention_mask"].bool()}
    if "t5" in kind:
        real["decoder"] = batch["labels"] != -100
    assert not all(mask.all() for mask in real.values())
    expected = activations(backbone, backbone.model.eval())
    view = method.prepare(backbone).eval()
    for module in view.modules():
        module.training = isinstance(module, Metered)  # dropout off, the meter on
    view(**batch)
    measured = densities(view)
    assert list(measured) == [block.path for block in backbone.anatomy.blocks]
    stacks = {block.path: block.stack for block in backbone.anatomy.blocks}
    for path, value in measured.items():
        a = expected[path] if padding else expected[path][real[stacks[path]]]
        torch.testing.assert_close(value, (a**2 / (a**2 + 1e-2)).mean(), atol=1e-6, rtol=1e-5)


def test_each_stack_has_its_weight() -> None:
    def penalty(encoder: float, decoder: float) -> float:
        method = deft(encoder_weight=encoder, decoder_weight=decoder)
        backbone = tiny_backbone("t5")
        view = method.prepare(backbone).train()
        torch.manual_seed(0)
        view(**tiny_batch(backbone))
        layers = torch.stack(list(densities(view).values()))
        torch.manual_seed(0)
        view(**tiny_batch(backbone))
        expected = encoder * layers[:3].mean() + decoder * layers[3:].mean()
        found = method.penalty(view)
        torch.testing.assert_close(found, expected)
        return found.item()

    assert penalty(2.0, 0.5) != pytest.approx(penalty(0.5, 2.0))


@pytest.mark.parametrize("kind", KINDS)
def test_the_penalty_trains_the_wrapped_method(kind: str) -> None:
    backbone = tiny_backbone(kind)
    method = deft()
    view = method.prepare(backbone).train()
    view(**tiny_batch(backbone))
    penalty = method.penalty(view)
    assert 0 < penalty.item() <= (2 if "t5" in kind else 1)
    penalty.backward()
    grads = [p.grad for n, p in view.named_parameters() if p.requires_grad and "lora" in n]
    assert any(grad is not None and grad.abs().sum() > 0 for grad in grads)


@pytest.mark.parametrize("kind", ["bert", "t5"])
def test_density_falls(kind: str) -> None:
    def after(method: Any) -> float:
        backbone = tiny_backbone(kind)
        view = method.prepare(backbone)
        train_steps(method, view, tiny_batch(backbone), steps=25)
        seen = activations(backbone, method.deploy(view).eval()).values()
        return torch.stack([(a.abs() > 1e-1).float().mean() for a in seen]).mean().item()

    heavy = deft(surrogate="tanh", beta=5.0, encoder_weight=30.0, decoder_weight=30.0)
    assert after(heavy) < after(LoRA()) - 0.02


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("settings", [{}, PROMPT])
def test_ships_as_the_wrapped_method_does(
    kind: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    backbone, method = tiny_backbone(kind), deft(**settings)
    view, batch = method.prepare(backbone), tiny_batch(backbone)
    train_steps(method, view, batch)
    in_training = predict(view, batch, backbone.form)
    deployed = method.deploy(view)
    assert not [module for module in deployed.modules() if isinstance(module, Metered)]
    assert not [m for m in deployed.modules() if m._forward_pre_hooks or m._forward_hooks]
    assert largest_difference(predict(deployed, batch, backbone.form)[:1], in_training[:1]) < 1e-3
    loaded = round_trip(deployed, backbone, tmp_path / "m")
    after = predict(loaded, batch, backbone.form)
    assert largest_difference(after, predict(deployed, batch, backbone.form)) < 1e-5


def test_the_loss_and_the_optimizer_of_the_wrapped_method_are_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Own(LoRA):
        def loss(self, model: Any, batch: Any, outputs: Any, task_loss: Any) -> Any:
            return 3 * task_loss

        def optimizer(self, model: Any) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameter_groups(model), lr=self.config.learning_rate)

    point = EntryPoint("own", "tests:Own", METHODS.group)
    entry = Entry(name="own", target="tests:Own", package="a 1", check=METHODS._check, point=point)
    vars(entry)["_outcome"] = (Own, None)
    monkeypatch.setitem(METHODS.entries, "own", entry)
    method, backbone = deft(wraps="own", learning_rate=0.25), tiny_backbone("bert")
    view, batch = method.prepare(backbone).train(), tiny_batch(backbone)
    outputs = view(**batch)
    loss = method.loss(view, batch, outputs, torch.tensor(2.0))
    view(**batch)
    assert loss.item() - method.penalty(view).item() == pytest.approx(6.0, abs=1e-3)
    optimizer = method.optimizer(view)
    assert isinstance(optimizer, torch.optim.SGD)
    assert optimizer.defaults["lr"] == 0.25

    with pytest.raises(UserError, match="the gates have no learning rate"):
        configure("ada_deft", {"wraps": "own"})


class TestOneRecordALayer:
    @pytest.mark.parametrize("kind", ["bert", "gpt2", "t5"])
    def test_gradient_checkpointing_changes_nothing(self, kind: str) -> None:
        grads = []
        for checkpointing in (False, True):
            backbone = tiny_backbone(kind)
            for module in backbone.model.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
            backbone.model.config.use_cache = False
            torch.manual_seed(0)
            method = deft(settings={"dropout": 0.0}, eps=1e-3)
            view = method.prepare(backbone).train()
            if checkpointing:
                backbone.model.gradient_checkpointing_enable({"use_reentrant": False})
                backbone.model.enable_input_require_grads()
            for _ in range(2):
                view.zero_grad()
                (view(**tiny_batch(backbone)).loss + method.penalty(view)).backward()
            grads.append({n: p.grad for n, p in view.named_parameters() if p.requires_grad})
        assert grads[0].keys() == grads[1].keys()
        for name, grad in grads[0].items():
            torch.testing.assert_close(grads[1][name], grad, atol=1e-5, rtol=1e-3)

    def test_reentrant_checkpointing_is_refused(self) -> None:
        backbone, method = tiny_backbone("bert"), deft()
        view = method.prepare(backbone).train()
        backbone.model.gradient_checkpointing_enable({"use_reentrant": True})
        backbone.model.enable_input_require_grads()
        view(**tiny_batch(backbone))
        with pytest.raises(UserError, match="non-reentrant"):
            method.penalty(view)

    def test_evaluation_in_between_is_not_heard(self) -> None:
        backbone, method = tiny_backbone("t5"), deft()
        view, batch = method.prepare(backbone).train(), tiny_batch(backbone)
        view(**batch)
        view(**batch)  # a forward pass that nobody asked about
        method.penalty(view)
        predict(view.eval(), batch, backbone.form)
        view.train()(**batch)
        method.penalty(view).backward()

    def test_a_layer_that_runs_twice_is_an_error(self) -> None:
        backbone, method = tiny_backbone("bert"), deft()
        view = method.prepare(backbone).train()
        layer = view.bert.encoder.layer[1].intermediate
        layer.register_forward_hook(lambda module, args, output: module.intermediate_act_fn(output))
        view(**tiny_batch(backbone))
        with pytest.raises(UserError, match="2 times"):
            method.penalty(view)

    def test_a_copy_of_the_model_has_a_meter_of_its_own(self) -> None:
        backbone, method = tiny_backbone("bert"), deft()
        view, batch = method.prepare(backbone).train(), tiny_batch(backbone)
        other = copy.deepcopy(view)
        other(**batch)
        method.penalty(other)
        with pytest.raises(UserError, match="0 times"):
            method.penalty(view)


class TestSettings:
    def test_rates_are_those_of_the_wrapped_method(self) -> None:
        assert configure("deft", {}).config.learning_rate == LoRA().config.learning_rate
        made = configure("deft", {"settings": {"learning_rate": 0.125}, "weight_decay": 0.5})
        assert (made.config.learning_rate, made.config.weight_decay) == (0.125, 0.5)
        assert configure("deft", {"learning_rate": 0.25}).config.learning_rate == 0.25

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"wraps": "lorra"}, "did you mean 'lora'"),
            ({"wraps": "deft"}, "cannot wrap itself"),
            ({"wraps": 3}, "should be a name"),
            ({"wraps": "distill"}, "student: deft"),
            ({"settings": {"rank": 3}}, "rank"),
            ({"eps": 0}, "eps"),
        ],
    )
    def test_a_bad_one_is_named(self, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(UserError, match=message):
            configure("deft", settings)

    def test_refuses_what_the_wrapped_method_refuses(self) -> None:
        backbone = tiny_backbone("t5")
        method = deft(wraps="peft", settings={"tuner": "beft"})
        assert "biases" in method.refuses(backbone.family, backbone.form)
