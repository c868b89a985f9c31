"""Parameters, zeros and bytes of modules whose numbers are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import peft
import pytest
import torch
from tiny_models import tiny_backbone
from torch import nn

from sparsebench.models import anatomy_of
from sparsebench.models.adapters import attach_adapter
from sparsebench.profiling.parameters import count_parameters
from sparsebench.sparsity.removal import remove_neurons

if TYPE_CHECKING:
    from pathlib import Path


def three_layers() -> nn.Sequential:
    """Returns layers of 12 + 3, 9 (shared by two) and 6 + 2 parameters, none of them zero."""
    shared = nn.Linear(3, 3, bias=False)
    model = nn.Sequential(nn.Linear(4, 3), shared, shared, nn.Linear(3, 2))
    for parameter in model.parameters():
        nn.init.ones_(parameter)
    return model


def test_shared_parameters_count_once() -> None:
    counted = count_parameters(three_layers(), head=("3.weight", "3.bias"), trainable=9)
    assert (counted.total, counted.nonzero, counted.head, counted.trainable) == (32, 32, 8, 9)
    assert counted.encoder is None
    assert counted.encoder_sparsity is None
    assert counted.sparsity == 0


def test_zeros_are_told_apart() -> None:
    model = three_layers()
    model[0].weight.data[:2] = 0
    counted = count_parameters(model)
    assert (counted.total, counted.nonzero) == (32, 24)
    assert counted.sparsity == 8 / 32


@pytest.mark.parametrize("store", [torch.Tensor.to_sparse_csr, torch.Tensor.to_sparse])
def test_a_sparse_weight_counts_in_full_and_without_its_zeros(store: object) -> None:
    model = three_layers()
    weight = model[0].weight.detach().clone()
    weight[:2] = 0
    model[0].weight = nn.Parameter(store(weight), requires_grad=False)
    counted = count_parameters(model)
    assert (counted.total, counted.nonzero) == (32, 24)


def test_encoder_sparsity_is_that_of_the_blocks_matrices() -> None:
    backbone = tiny_backbone("gpt2")
    weights = [matrix.weight(backbone.model) for matrix in backbone.anatomy.matrices()]
    size = sum(weight.numel() for weight in weights)
    for weight in weights:
        weight.data[: len(weight) // 2] = 0
    counted = count_parameters(backbone.model, reference=tiny_backbone("gpt2").model)
    assert counted.encoder == counted.reference_encoder == size
    assert counted.encoder_sparsity == 0.5
    assert counted.sparsity == pytest.approx(size / 2 / counted.total)


def test_what_was_removed_counts_as_sparse() -> None:
    backbone, whole = tiny_backbone("bert"), tiny_backbone("bert").model
    for block in anatomy_of(whole).blocks:
        remove_neurons(backbone.model, block.ffn, range(12))
    counted = count_parameters(backbone.model, reference=whole)
    gone = 3 * 12 * 2 * 32
    assert counted.reference_encoder == counted.encoder + gone
    assert counted.encoder_sparsity == pytest.approx(gone / counted.reference_encoder)


def test_added_parameters_are_no_negative_sparsity() -> None:
    model, whole = nn.Linear(4, 4), nn.Linear(4, 2)
    nn.init.ones_(model.bias)
    assert count_parameters(model, reference=whole).sparsity == 0


@pytest.mark.parametrize("attach", [attach_adapter, peft.get_peft_model])
@pytest.mark.parametrize(
    "config", [peft.PrefixTuningConfig(num_virtual_tokens=4), peft.LoraConfig()]
)
def test_the_head_is_found_under_an_adapter(attach: object, config: peft.PeftConfig) -> None:
    backbone = tiny_backbone("bert")
    config.task_type = "SEQ_CLS"
    counted = count_parameters(attach(backbone.model, config), head=backbone.head)
    assert counted.head == 2 * 32 + 2
    assert counted.encoder == 3 * (4 * 32**2 + 2 * 32 * 48)


def test_a_head_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no parameter 'score\.weight'"):
        count_parameters(three_layers(), head=("score.weight",))


def test_bytes_of_all_files_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "adapter" / "b").write_bytes(b"123")
    assert count_parameters(three_layers(), folder=tmp_path).bytes_on_disk == 8
