"""Bytes on disk: dense, without zeros, and for a task beside a shared backbone."""

from __future__ import annotations

import copy

import torch
from tiny_models import tiny_backbone

from sparsebench.models import anatomy_of
from sparsebench.profiling.parameters import count_storage


def test_what_did_not_change_need_not_be_stored() -> None:
    backbone = tiny_backbone("bert").model
    model = copy.deepcopy(backbone)
    weight = anatomy_of(model).blocks[1].ffn.down.weight(model)
    weight.data += 1
    found = count_storage(model, backbone=backbone)
    assert found.dense == sum(t.nbytes for t in model.state_dict().values())
    assert found.sparse <= found.dense
    assert (found.per_task, found.per_task_as) == (weight.nbytes, "changed tensors")
    learned = count_storage(model, backbone=backbone, learned=100)
    assert (learned.per_task, learned.per_task_as) == (100, "trained values and masks")
    assert count_storage(model).per_task is None


def test_zeros_are_stored_as_bits() -> None:
    model = tiny_backbone("gpt2").model
    before = count_storage(model)
    weights = [matrix.weight(model) for matrix in anatomy_of(model).matrices()]
    for weight in weights:
        weight.data[torch.rand(weight.shape) < 2] = 0
    saved = sum(weight.numel() for weight in weights)
    after = count_storage(model)
    assert after.dense == before.dense
    assert before.sparse - after.sparse == saved * 4 - saved // 8


def test_tied_weights_count_once() -> None:
    model = tiny_backbone("t5").model
    parameters = sum(parameter.nbytes for parameter in model.parameters())
    assert count_storage(model).dense == parameters
