"""Untrained models have the structure that a run ends in, without ties deciding what goes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_models import KINDS, tiny_backbone

from sparsebench.execution.profile_runs.prepared import finish
from sparsebench.method_registry import METHODS, configure
from sparsebench.models import anatomy_of
from sparsebench.profiling.parameters import count_parameters


def finished(name: str, kind: str = "bert", **settings: Any) -> Any:
    method = configure(name, {**configure(name, {}).profile_settings, **settings})
    return finish(method, tiny_backbone(kind))


def block_sparsity(model: Any) -> float:
    return count_parameters(model).encoder_sparsity


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["magnitude", "movement", "pst", "lora_magnitude"])
def test_masks_are_at_their_end(name: str, kind: str) -> None:
    model = finished(name, kind, sparsity=0.75).model
    assert block_sparsity(model) == pytest.approx(0.75, abs=1e-3)


def test_scores_that_start_equal_do_not_empty_whole_rows() -> None:
    model = finished("movement", sparsity=0.5).model
    for matrix in anatomy_of(model).matrices():
        kept = (matrix.weight(model) != 0).float().mean(1)
        assert kept.max() < 1


def test_an_update_fills_the_zeros_that_training_fills() -> None:
    """DSEE's merged query and value are dense; the other matrices keep their zeros."""
    model = finished("dsee", sparsity=0.5).model
    for matrix in anatomy_of(model).matrices():
        zeros = float((matrix.weight(model) == 0).float().mean())
        assert (zeros == 0) == (matrix.role in {"query", "value"})


def test_parts_are_removed() -> None:
    done = finished("dsee", prune="structured")
    for block in anatomy_of(done.model).blocks:
        assert block.ffn.neurons == pytest.approx(0.6 * 48, abs=1)
        assert all(part.heads == 3 for part in block.attentions)


def test_what_must_be_stored_for_a_task() -> None:
    backbone = tiny_backbone("bert")
    head = sum(backbone.model.get_parameter(name).nbytes for name in backbone.head)
    lora = finished("lora")
    assert lora.learned == 4 * lora.trainable + head
    weights = sum(matrix.weight(backbone.model).numel() for matrix in backbone.anatomy.matrices())
    under_mask = finished("lora_magnitude")
    assert under_mask.learned == 4 * under_mask.trainable + head + weights / 8
    full = finished("full")
    assert full.learned == sum(p.nbytes for p in backbone.model.parameters())


def test_frozen_weights_that_lost_some_cost_a_bit_each() -> None:
    done = finished("dsee", support="none", sparsity=0.5)
    backbone = tiny_backbone("bert")
    head = sum(backbone.model.get_parameter(name).nbytes for name in backbone.head)
    weights = sum(matrix.weight(backbone.model).numel() for matrix in backbone.anatomy.matrices())
    pooler = backbone.model.bert.pooler.dense.weight.numel()
    pruned = weights + (pooler if "bert.pooler.dense.weight" not in backbone.head else 0)
    assert done.learned == 4 * done.trainable + head + pruned / 8


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"qlora"}))
def test_every_built_in_method_can_be_finished_the_same_way_twice(name: str) -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(0)
        states.append(finished(name).model.state_dict())
    assert all(torch.equal(tensor, states[1][key]) for key, tensor in states[0].items())
