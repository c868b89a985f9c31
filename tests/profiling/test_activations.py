"""A known share of neurons fires, and the report says exactly that share."""

from __future__ import annotations

import pytest
import torch
from tiny_models import KINDS, tiny_backbone
from torch import nn

from sparsebench.models import anatomy_of
from sparsebench.profiling import dummy_inputs
from sparsebench.profiling.activations import measure_activations
from sparsebench.sparsity.removal import remove_ffn


def firing(neurons: int) -> nn.Module:
    """Returns a T5 in which the first ``neurons`` of each network fire for every token.

    A neuron fires where its row of ``wi`` is a positive multiple of the input; with a row and its
    negative, one of two fires. Here each row is zero but for a bias that the norm's weight makes.
    """
    model = tiny_backbone("t5").model
    for block in anatomy_of(model).blocks:
        layer = model.get_submodule(block.ffn.path)
        dense = layer.DenseReluDense
        dense.wi = nn.Linear(dense.wi.in_features, dense.wi.out_features)
        dense.wi.weight.data.zero_()
        dense.wi.bias.data.fill_(-1.0)
        dense.wi.bias.data[:neurons] = 0.5
    return model.eval()


@pytest.mark.parametrize("neurons", [0, 1, 12, 48])
def test_a_known_share_is_reported_exactly(neurons: int) -> None:
    model = firing(neurons)
    batch = dummy_inputs(model.config, batch_size=3, length=20, target_length=5)
    found = measure_activations(model, [batch], data="random")
    assert found.density == neurons / 48
    assert found.density_exact_padded == neurons / 48
    assert found.mean(0.0, stack="decoder") == neurons / 48
    assert found.mean(1e-1) == neurons / 48
    assert all(layer.union[1] == neurons / 48 for layer in found.layers.values())
    assert found.output_error == {1e-3: 0.0, 1e-2: 0.0, 1e-1: 0.0}
    assert found.tokens == 60


def test_half_of_mirrored_neurons_fires_for_any_input() -> None:
    model = tiny_backbone("t5").model.eval()
    for block in anatomy_of(model).blocks:
        weight = block.ffn.up.weight(model).data
        weight[24:] = -weight[:24]
    batch = dummy_inputs(model.config, batch_size=2, length=9, target_length=4)
    found = measure_activations(model, [batch], data="random")
    assert {layer.above[0.0] for layer in found.layers.values()} == {0.5}
    unions = [layer.union for layer in found.layers.values() if layer.stack == "encoder"]
    assert all(union[1] < union[4] <= 1 for union in unions)
    assert all(set(union) == {1, 4} for union in unions)  # of 9 tokens there is no window of 16


@pytest.mark.parametrize("kind", KINDS)
def test_masked_padding_changes_nothing(kind: str) -> None:
    model = tiny_backbone(kind).model.eval()
    batch = dummy_inputs(model.config, batch_size=1, length=8, target_length=6)
    if "decoder_input_ids" in batch:
        batch["decoder_attention_mask"] = torch.ones_like(batch["decoder_input_ids"])
    padded = {
        name: torch.cat([tensor, torch.zeros_like(tensor[:, :5]) + (0 if "mask" in name else 3)], 1)
        for name, tensor in batch.items()
    }
    plain, found = (measure_activations(model, [b], data="") for b in (batch, padded))
    for path, layer in plain.layers.items():
        assert found.layers[path].above == pytest.approx(layer.above)
        assert found.layers[path].union == pytest.approx(layer.union)
    assert found.tokens == plain.tokens == 8


def test_the_error_grows_with_the_threshold() -> None:
    model = tiny_backbone("bert").model.eval()
    found = measure_activations(model, [dummy_inputs(model.config, length=8)], data="")
    errors = list(found.output_error.values())
    assert errors == sorted(errors)
    assert errors[-1] > 0


def test_dropped_networks_are_no_layers() -> None:
    model = tiny_backbone("gpt2").model.eval()
    batch = dummy_inputs(model.config, length=8)
    for block in anatomy_of(model).blocks:
        found = measure_activations(model, [batch], data="")
        assert len(found.layers) == 3 - block.index
        remove_ffn(model, anatomy_of(model).blocks[block.index])
    assert measure_activations(model, [batch], data="") is None
