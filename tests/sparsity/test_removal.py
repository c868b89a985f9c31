"""A model without a part computes what the whole one computes with that part silenced."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tiny_models import KINDS, tiny_backbone, tiny_batch

from sparsebench.models import Backbone, Form, anatomy_of
from sparsebench.sparsity.removal import remove_ffn, remove_heads, remove_neurons

if TYPE_CHECKING:
    from sparsebench.models import Attention, FeedForward

GONE_HEADS = ([1], [0, 2, 3], [])
"""By place of the block, so that counts differ and one block keeps all."""

GONE_NEURONS = ([0, 7, 40], [], list(range(47)))


def outputs(backbone: Backbone, model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(**tiny_batch(backbone)).logits


def silence_heads(model: Any, attention: Attention, heads: list[int]) -> None:
    weight = attention.output.weight(model)
    for head in heads:
        weight[:, head * attention.head_size : (head + 1) * attention.head_size] = 0


def silence_neurons(model: Any, ffn: FeedForward, neurons: list[int]) -> None:
    ffn.down.weight(model)[:, neurons] = 0


@torch.no_grad()
def reduced_pair(backbone: Backbone) -> tuple[Any, Any]:
    """Returns the model with heads and neurons silenced, and the same with them removed."""
    silenced, removed = copy.deepcopy(backbone.model), backbone.model
    for block in anatomy_of(silenced).blocks:
        for attention in block.attentions:
            heads = GONE_HEADS[(block.index + attention.cross) % 3]
            silence_heads(silenced, attention, heads)
            remove_heads(removed, attention, heads)
        silence_neurons(silenced, block.ffn, GONE_NEURONS[block.index])
        remove_neurons(removed, block.ffn, GONE_NEURONS[block.index])
    return silenced, removed


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_silenced_model(kind: str, attention: str) -> None:
    backbone = tiny_backbone(kind, attention=attention)
    backbone.model.double()  # processors round the products of fp32 in their own order
    whole = outputs(backbone, copy.deepcopy(backbone.model))
    silenced, removed = reduced_pair(backbone)
    expected = outputs(backbone, silenced)
    assert (whole - expected).abs().max() > 1e-2
    torch.testing.assert_close(outputs(backbone, removed), expected, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_anatomy_and_gradients_know_the_new_shapes(kind: str) -> None:
    backbone = tiny_backbone(kind)
    neurons = backbone.anatomy.blocks[0].ffn.neurons
    backbone.model.get_submodule(backbone.anatomy.blocks[1].ffn.up.path).weight.requires_grad_(
        requires_grad=False
    )
    _, removed = reduced_pair(backbone)
    for block in anatomy_of(removed).blocks:
        for attention in block.attentions:
            heads = 4 - len(GONE_HEADS[(block.index + attention.cross) % 3])
            assert attention.heads == heads
            assert attention.query.weight(removed).shape == (8 * heads, 32)
            assert attention.output.weight(removed).shape == (32, 8 * heads)
        assert block.ffn.neurons == neurons - len(GONE_NEURONS[block.index])
        assert block.ffn.up.weight(removed).shape == (block.ffn.neurons, 32)
    loss = removed(**tiny_batch(backbone)).loss
    loss.backward()
    for name, parameter in removed.named_parameters():
        if parameter.requires_grad and "pooler" not in name:
            assert parameter.grad is not None, name
            assert parameter.grad.shape == parameter.shape


@pytest.mark.parametrize("kind", ["gpt2", "t5", "flan-t5"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("cache", [None, "static"])
def test_generates_like_the_silenced_model(kind: str, attention: str, cache: str | None) -> None:
    backbone = tiny_backbone(kind, attention=attention)
    silenced, removed = reduced_pair(backbone)
    for model in (silenced, removed):
        remove_ffn(model, anatomy_of(model).blocks[-2])
    inputs = {k: v[:2] for k, v in tiny_batch(backbone).items() if k != "labels"}
    settings = {"max_new_tokens": 12, "min_new_tokens": 12, "do_sample": False}
    texts = [
        model.eval().generate(
            **inputs,
            **settings,
            cache_implementation=cache,
            output_logits=True,
            return_dict_in_generate=True,
        )
        for model in (silenced, removed)
    ]
    assert torch.equal(texts[0].sequences, texts[1].sequences)
    torch.testing.assert_close(
        torch.stack(texts[1].logits), torch.stack(texts[0].logits), atol=5e-6, rtol=1e-5
    )
    whole = removed.generate(**inputs, **settings, use_cache=False)
    assert torch.equal(texts[1].sequences, whole)


@pytest.mark.parametrize("kind", KINDS)
def test_whole_feed_forward_networks(kind: str) -> None:
    """Equals the model whose network says nothing; in BERT the norm after the sum stays."""
    backbone = tiny_backbone(kind)
    silenced = copy.deepcopy(backbone.model)
    removed_blocks = [block for block in anatomy_of(silenced).blocks if block.index in (0, 2)]
    for block in removed_blocks:
        with torch.no_grad():
            block.ffn.down.weight(silenced).zero_()
            if (bias := block.ffn.down.bias(silenced)) is not None:
                bias.zero_()
        remove_ffn(backbone.model, block)
    left = [block.ffn is not None for block in backbone.anatomy.blocks]
    assert left == [False, True, False] * (len(left) // 3)
    torch.testing.assert_close(
        outputs(backbone, backbone.model), outputs(backbone, silenced), atol=2e-6, rtol=1e-5
    )
    names = {name for name, _ in backbone.model.named_parameters()}
    in_removed = {
        name for name in names if any(name.startswith(f"{block.path}.") for block in removed_blocks)
    }
    norms = {"bert": "output.LayerNorm", "roberta": "output.LayerNorm"}.get(kind)
    ffn = [name for name in in_removed if "output." in name and "attention" not in name]
    assert len(ffn) == (2 * len(removed_blocks) if norms else 0)
    assert not [n for n in in_removed if "ln_2" in n or "DenseReluDense" in n or "mlp" in n]
    backbone.model.train()(**tiny_batch(backbone)).loss.backward()


@pytest.mark.parametrize("kind", KINDS)
def test_heads_can_go_twice(kind: str) -> None:
    backbone = tiny_backbone(kind)
    silenced = copy.deepcopy(backbone.model)
    with torch.no_grad():
        for block in anatomy_of(silenced).blocks:
            silence_heads(silenced, block.attentions[0], [0, 2])
            remove_heads(backbone.model, block.attentions[0], [0])
    for block in backbone.anatomy.blocks:
        remove_heads(backbone.model, block.attentions[0], torch.tensor([1]))
    torch.testing.assert_close(
        outputs(backbone, backbone.model), outputs(backbone, silenced), atol=2e-6, rtol=1e-5
    )


def test_a_reduced_t5_shares_one_position_bias() -> None:
    backbone = tiny_backbone("t5")
    _, removed = reduced_pair(backbone)
    names = [name for name, _ in removed.named_parameters() if "relative_attention_bias" in name]
    assert len(names) == 2
    removed.train()(**tiny_batch(backbone)).loss.backward()
    assert all(removed.get_parameter(name).grad.abs().sum() > 0 for name in names)


def test_a_reduced_t5_survives_gradient_checkpointing() -> None:
    backbone = tiny_backbone("t5", dropout_rate=0.0)
    _, removed = reduced_pair(backbone)
    removed.config.use_cache = False
    grads = []
    for checkpointing in (False, True):
        if checkpointing:
            removed.gradient_checkpointing_enable({"use_reentrant": False})
        removed.zero_grad()
        removed.train()(**tiny_batch(backbone)).loss.backward()
        grads.append({n: p.grad.clone() for n, p in removed.named_parameters()})
    for name, grad in grads[0].items():
        torch.testing.assert_close(grads[1][name], grad, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("form", [Form.CLASSIFICATION, Form.SPAN])
def test_other_heads_of_gpt2(form: Form) -> None:
    backbone = tiny_backbone("gpt2", form=form)
    silenced, removed = reduced_pair(backbone)
    batch = tiny_batch(backbone)
    with torch.no_grad():
        expected, found = silenced.eval()(**batch).loss, removed.eval()(**batch).loss
    torch.testing.assert_close(found, expected)


def test_bad_requests() -> None:
    backbone = tiny_backbone("bert")
    attention, ffn = backbone.anatomy.blocks[0].attentions[0], backbone.anatomy.blocks[0].ffn
    with pytest.raises(ValueError, match="at least one head"):
        remove_heads(backbone.model, attention, range(4))
    with pytest.raises(ValueError, match="no such head"):
        remove_heads(backbone.model, attention, [4])
    with pytest.raises(ValueError, match="no such neuron"):
        remove_neurons(backbone.model, ffn, [-1])
    with pytest.raises(ValueError, match="at least one neuron"):
        remove_neurons(backbone.model, ffn, torch.arange(48))
