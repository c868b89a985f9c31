from __future__ import annotations

import masked_runs
import pytest
import torch
from contract_loop import Loop, drive
from sparsebench_methods.lora_magnitude import LoRAMagnitude, LoRAMagnitudeConfig, MaskedLoRA
from tiny_models import KINDS, tiny_backbone

from sparsebench import Form
from sparsebench.models import load_backbone, model_source
from sparsebench.sparsity import attached


def lora_magnitude(**settings: object) -> LoRAMagnitude:
    return LoRAMagnitude(LoRAMagnitudeConfig.model_validate({"learning_rate": 1e-2, **settings}))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9])
def test_ships_exactly_the_asked_zeros_with_the_update_merged(kind: str, sparsity: float) -> None:
    method = lora_magnitude(sparsity=sparsity)
    masked_runs.assert_trains_and_deploys(method, kind, zeros=lambda size: int(size * sparsity))


def test_the_mask_is_that_of_the_pretrained_weights_and_stays() -> None:
    backbone = tiny_backbone("bert")
    method = lora_magnitude(sparsity=0.6)
    view = method.prepare(backbone)
    masks = [change.mask.clone() for _, change in attached(view, MaskedLoRA)]
    for (weight, _), mask in zip(attached(view, MaskedLoRA), masks, strict=True):
        assert weight[~mask].abs().max() <= weight[mask].abs().min()
    Loop(method, view, masked_runs.batches(backbone), 5).train()
    deployed = method.deploy(view)
    for matrix, mask in zip(backbone.anatomy.matrices(), masks, strict=True):
        assert torch.equal(matrix.weight(deployed) != 0, mask)


def test_what_ships_is_the_masked_sum() -> None:
    backbone = tiny_backbone("gpt2")
    method = lora_magnitude(sparsity=0.5, rank=2, alpha=6)
    view = method.prepare(backbone)
    Loop(method, view, masked_runs.batches(backbone), 3).train()
    expected = [
        (weight + 3 * change.B @ change.A) * change.mask
        for weight, change in attached(view, MaskedLoRA)
    ]
    assert all(change.B.abs().sum() > 0 for _, change in attached(view, MaskedLoRA))
    deployed = method.deploy(view)
    for matrix, weight in zip(backbone.anatomy.matrices(), expected, strict=True):
        torch.testing.assert_close(matrix.weight(deployed), weight)


def test_trains_the_update_and_the_head_alone() -> None:
    with torch.device("meta"):
        source = model_source("random:bert-base")
        backbone = load_backbone(source, form=Form.CLASSIFICATION, labels=("a", "b"))
        view = lora_magnitude(rank=8, sparsity=0).prepare(backbone)
    trained = {name: p for name, p in view.named_parameters() if p.requires_grad}
    head = {name for name in trained if name in backbone.head}
    assert head == backbone.head
    count = sum(p.numel() for name, p in trained.items() if name not in head)
    assert count == 8 * 12 * (4 * (768 + 768) + 2 * (768 + 3072))


def test_two_of_four_is_exact() -> None:
    backbone = tiny_backbone("t5")
    deployed = drive(lora_magnitude(pattern="2:4"), backbone, masked_runs.batches(backbone), 4)
    for matrix in backbone.anatomy.matrices():
        assert ((matrix.weight(deployed) != 0).reshape(-1, 4).sum(1) == 2).all()


def test_resumes_in_the_middle() -> None:
    masked_runs.assert_resumes(lora_magnitude, "bert", at=5)


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_pruned_weights_stay_zero(kind: str) -> None:
    masked_runs.assert_pruned_weights_stay_zero(lora_magnitude(weight_decay=0.1), kind)
