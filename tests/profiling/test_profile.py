"""All costs in one record, and a part that fails fails alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from tiny_models import KINDS, tiny_backbone
from torch import nn

from sparsebench.errors import UserError
from sparsebench.profiling import TimingBudget, dummy_inputs, profile
from sparsebench.results.costs import Costs, FlopStatus, MemoryKind, MemoryPeak

if TYPE_CHECKING:
    from pathlib import Path

SHORT = TimingBudget(warmup=1, rounds=3, seconds=0)


@pytest.mark.parametrize("kind", ["bert", "gpt2", "flan-t5"])
def test_all_costs_of_a_model(kind: str, tmp_path: Path) -> None:
    backbone, whole = tiny_backbone(kind), tiny_backbone(kind).model
    (tmp_path / "weights").write_bytes(b"1234")
    costs = profile(
        backbone.model,
        inputs=dummy_inputs(whole.config, batch_size=2, length=9, target_length=4),
        reference=whole,
        head=backbone.head,
        trainable=7,
        folder=tmp_path,
        training=MemoryPeak(kind=MemoryKind.RESIDENT, bytes=5),
        timing=SHORT,
    )
    assert costs.missing == {}
    assert (costs.device.type, costs.dtype, costs.attention) == ("cpu", "float32", "sdpa")
    assert costs.parameters.total == sum(p.numel() for p in whole.parameters())
    assert (costs.parameters.trainable, costs.parameters.bytes_on_disk) == (7, 4)
    assert costs.parameters.encoder_sparsity == 0
    assert costs.flops.status is FlopStatus.VERIFIED
    assert costs.flops.shapes["input_ids"] == (1, 9)
    assert costs.latency.shapes["input_ids"] == (2, 9)
    assert len(costs.latency.samples) == len(costs.latency.reference_samples) == 3
    assert costs.memory.training.bytes == 5
    assert costs.memory.inference >= costs.memory.weights > 0
    assert Costs.model_validate_json(costs.model_dump_json()) == costs


def test_each_part_is_named_before_it_is_measured() -> None:
    model, phases = tiny_backbone("bert").model, []
    inputs = dummy_inputs(model.config, length=4)
    profile(model, inputs=inputs, timing=SHORT, on_phase=phases.append)
    assert phases == ["parameters", "activation density", "multiply-adds", "latency", "memory"]


def test_the_model_is_left_as_it_was() -> None:
    model = tiny_backbone("gpt2").model.train()
    profile(model, inputs=dummy_inputs(model.config, length=4), timing=SHORT)
    assert all(module.training for module in model.modules())
    assert model.config.use_cache


def test_a_part_that_fails_leaves_the_others() -> None:
    model = tiny_backbone("bert").model
    inputs = dummy_inputs(model.config, length=4)
    costs = profile(model, inputs=inputs, head=("score.weight",), timing=SHORT)
    assert set(costs.missing) == {"parameters"}
    assert "score.weight" in costs.missing["parameters"]
    assert costs.parameters is None
    assert costs.flops is not None
    assert costs.latency is not None


def test_a_model_that_does_not_run_still_has_parameters() -> None:
    model = nn.Linear(3, 2)
    costs = profile(model, inputs={"input": torch.ones(1, 4)}, timing=SHORT)
    assert set(costs.missing) == {"flops", "latency", "activations"}
    assert costs.parameters.total == 8
    assert costs.memory.weights == 8 * 4
    assert costs.memory.inference is None
    assert "\n" not in "".join(costs.missing.values())


def test_any_module_can_be_profiled() -> None:
    costs = profile(nn.Linear(3, 2), inputs={"input": torch.ones(4, 3)}, timing=SHORT)
    assert costs.missing == {}
    assert costs.flops.matrix == 6
    assert costs.flops.status is FlopStatus.UNVERIFIED
    assert costs.attention is None


def test_a_model_without_values_has_arithmetic_only() -> None:
    with torch.device("meta"):
        model = nn.Linear(3, 2)
        costs = profile(model, inputs={"input": torch.ones(4, 3)}, timing=SHORT)
    assert costs.flops.matrix == 6
    assert "cannot run" in costs.missing["latency"]
    assert "cannot run" in costs.missing["activations"]


@pytest.mark.parametrize("kind", KINDS)
def test_dummy_inputs_fit_the_family(kind: str) -> None:
    model = tiny_backbone(kind).model
    inputs = dummy_inputs(model.config, batch_size=3, length=12, target_length=5)
    assert {name: tuple(t.shape) for name, t in inputs.items()} == {
        "input_ids": (3, 12),
        "attention_mask": (3, 12),
        **({"decoder_input_ids": (3, 5)} if "t5" in kind else {}),
    }
    assert (inputs["input_ids"] != model.config.pad_token_id).all()
    model.eval()(**inputs)


@pytest.mark.parametrize(("kind", "positions"), [("bert", 40), ("roberta", 39), ("gpt2", 40)])
def test_dummy_inputs_fit_the_positions(kind: str, positions: int) -> None:
    model = tiny_backbone(kind).model.eval()
    model(**dummy_inputs(model.config, length=positions))
    with pytest.raises(UserError, match=f"{positions + 1} tokens .* {positions} positions"):
        dummy_inputs(model.config, length=positions + 1)
