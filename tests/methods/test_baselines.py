"""full, head, bitfit and lora on the four families: what trains, deployed, reloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from method_steps import largest_difference, predict, round_trip, snapshot, train_steps
from sparsebench_methods.bitfit import BitFit
from sparsebench_methods.full import Full
from sparsebench_methods.head import Head
from sparsebench_methods.lora import LoRA, LoRAConfig
from tiny_models import KINDS, tiny_backbone, tiny_batch

from sparsebench import Family, Form, Method, Role, UserError

if TYPE_CHECKING:
    from pathlib import Path

    from sparsebench import Backbone

METHODS = (Full, Head, LoRA)
CLASSIFIERS = ("bert", "roberta", "gpt2")
WORDS = {"gpt2": Form.LANGUAGE_MODEL, "t5": Form.TEXT_TO_TEXT, "flan-t5": Form.TEXT_TO_TEXT}
CASES = [
    *((kind, Form.CLASSIFICATION) for kind in CLASSIFIERS),
    *((kind, Form.SPAN) for kind in CLASSIFIERS),
    *WORDS.items(),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("kind", "form"), CASES)
def test_predicts_the_same_after_deploy_save_and_load(
    method: type[Method], kind: str, form: Form, tmp_path: Path
) -> None:
    backbone = tiny_backbone(kind, form=form)
    batch = tiny_batch(backbone)
    before = predict(backbone.model.eval(), batch, form)
    trained = method()
    view = trained.prepare(backbone)
    train_steps(trained, view, batch)
    in_training = predict(view, batch, form)
    deployed = trained.deploy(view)
    loaded = round_trip(deployed, backbone, tmp_path / "deployed")
    after = predict(loaded, batch, form)
    assert largest_difference(after, predict(deployed, batch, form)) < 1e-5
    assert largest_difference(after[:1], in_training[:1]) < 1e-4
    assert largest_difference(after[:1], before[:1]) > 1e-3
    assert type(loaded) is type(backbone.model)


@pytest.mark.parametrize("method", [Full, Head, LoRA, BitFit])
@pytest.mark.parametrize("kind", KINDS)
def test_moves_what_it_trains_and_nothing_else(method: type[Method], kind: str) -> None:
    backbone = tiny_backbone(kind)
    if method().refuses(backbone.family, backbone.form):
        pytest.skip("refused")
    trained = method()
    view = trained.prepare(backbone)
    free = {n for n, p in view.named_parameters(remove_duplicate=False) if p.requires_grad}
    before = snapshot(view)
    train_steps(trained, view, tiny_batch(backbone))
    after = snapshot(view)
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert moved
    assert moved <= free
    still = {name for name in free - moved if "lora" not in name}
    assert not still, "what trains got no gradient"


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_head_trains_the_task_head_alone(kind: str) -> None:
    backbone = tiny_backbone(kind, form=Form.CLASSIFICATION)
    view = Head().prepare(backbone)
    assert {n for n, p in view.named_parameters() if p.requires_grad} == backbone.head


@pytest.mark.parametrize("kind", WORDS)
def test_head_trains_an_untied_output_projection_where_there_is_no_head(
    kind: str, tmp_path: Path
) -> None:
    backbone = tiny_backbone(kind, form=WORDS[kind])
    method = Head()
    view = method.prepare(backbone)
    assert [n for n, p in view.named_parameters() if p.requires_grad] == ["lm_head.weight"]
    embedding = backbone.model.get_input_embeddings().weight.detach().clone()
    train_steps(method, view, tiny_batch(backbone))
    loaded = round_trip(method.deploy(view), backbone, tmp_path / "deployed")
    loaded.tie_weights()
    assert torch.equal(loaded.get_input_embeddings().weight, embedding)
    assert torch.equal(loaded.lm_head.weight, backbone.model.lm_head.weight)
    assert not torch.equal(loaded.lm_head.weight, embedding)


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2"])
def test_bitfit_trains_every_bias_and_the_head(kind: str) -> None:
    backbone = tiny_backbone(kind, form=Form.CLASSIFICATION)
    view = BitFit().prepare(backbone)
    trained = {n for n, p in view.named_parameters() if p.requires_grad}
    biases = {n for n, _ in view.named_parameters() if n.endswith("bias")}
    assert trained == biases | backbone.head


def test_bitfit_refuses_t5() -> None:
    assert "no biases" in (BitFit().refuses(Family.T5, Form.TEXT_TO_TEXT) or "")
    assert BitFit().refuses(Family.BERT, Form.CLASSIFICATION) is None


def trainable(view: torch.nn.Module, head: set[int]) -> int:
    """Counts as the harness does: by identity, the head apart."""
    return sum(p.numel() for p in view.parameters() if p.requires_grad and id(p) not in head)


def head_of(backbone: Backbone) -> set[int]:
    return {id(backbone.model.get_parameter(name)) for name in backbone.head}


@pytest.mark.parametrize(
    ("kind", "config", "values"),
    [
        ("bert", {"num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 12}, 589_824),
        ("gpt2", {"n_layer": 12, "n_embd": 768, "n_head": 12}, 589_824),
    ],
)
def test_lora_counts_as_published(kind: str, config: dict[str, int], values: int) -> None:
    small = {"vocab_size": 50, "intermediate_size": 8, "n_inner": 8}
    with torch.device("meta"):
        backbone = tiny_backbone(kind, form=Form.CLASSIFICATION, **config, **small)
    head = head_of(backbone)
    view = LoRA(LoRAConfig(r=16)).prepare(backbone)
    assert trainable(view, head) == values
    assert all(backbone.model.get_parameter(name).requires_grad for name in backbone.head)


def test_lora_adapts_the_roles_it_is_told(tmp_path: Path) -> None:
    backbone = tiny_backbone("t5")
    method = LoRA(LoRAConfig(r=2, targets=(Role.FFN_OUT,)))
    view = method.prepare(backbone)
    adapted = {n.partition(".lora_")[0] for n, p in view.named_parameters() if p.requires_grad}
    assert adapted == {m.path for m in backbone.anatomy.matrices(Role.FFN_OUT)}
    assert len(adapted) == 6


def test_lora_scales_by_alpha_over_r() -> None:
    plain, stabilised = (
        LoRA(LoRAConfig(r=4, alpha=6, dropout=0, rank_stabilised=flag)) for flag in (False, True)
    )
    for method, scale in ((plain, 1.5), (stabilised, 3.0)):
        backbone = tiny_backbone("bert")
        before = snapshot(backbone.model)
        view = method.prepare(backbone)
        layer = view.get_submodule("bert.encoder.layer.0.attention.self.query")
        torch.nn.init.normal_(layer.lora_B["default"].weight)  # type: ignore[union-attr,operator,index]
        product = layer.lora_B["default"].weight @ layer.lora_A["default"].weight  # type: ignore[union-attr,index]
        name = "bert.encoder.layer.0.attention.self.query.weight"
        moved = method.deploy(view).get_parameter(name) - before[name]
        torch.testing.assert_close(moved, scale * product, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_lora_leaves_nothing_behind(kind: str) -> None:
    backbone = tiny_backbone(kind)
    names = [name for name, _ in backbone.model.named_modules()]
    method = LoRA()
    deployed = method.deploy(method.prepare(backbone))
    assert [name for name, _ in deployed.named_modules()] == names
    assert not [m for m in deployed.modules() if "peft" in type(m).__module__]
    assert not [m for m in deployed.modules() if m._forward_hooks or m._forward_pre_hooks]
    assert not hasattr(deployed, "peft_config")


@pytest.mark.parametrize("method", [Full, Head, LoRA, BitFit])
def test_settings_are_documented(method: type[Method]) -> None:
    assert all(field.description for field in method.Config.model_fields.values())
    assert method.__doc__
    with pytest.raises(ValueError, match="learning_rat"):
        method.Config(learning_rat=1)  # type: ignore[call-arg]


def test_refused_by_peft_is_a_user_error() -> None:
    backbone = tiny_backbone("bert")
    backbone.model.bert.encoder.layer[0].attention.self.query = torch.nn.Identity()
    with pytest.raises(UserError, match="'lora' does not fit this bert model"):
        LoRA().prepare(backbone)
