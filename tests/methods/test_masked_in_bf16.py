from __future__ import annotations

from typing import TYPE_CHECKING

import masked_runs
import pytest
import torch
from contract_loop import Loop
from sparsebench_methods.lora_magnitude import LoRAMagnitude
from sparsebench_methods.magnitude import Magnitude
from sparsebench_methods.movement import Movement
from sparsebench_methods.pst import PST
from sparsebench_methods.soft_movement import SoftMovement
from tiny_models import tiny_backbone, tiny_batch

if TYPE_CHECKING:
    from sparsebench import Method

METHODS = (Magnitude, LoRAMagnitude, Movement, SoftMovement, PST)


@pytest.mark.parametrize("kind", ["bert", "gpt2", "t5"])
@pytest.mark.parametrize("make", METHODS)
def test_trains_under_autocast_with_exact_zeros_in_fp32(make: type[Method], kind: str) -> None:
    backbone = tiny_backbone(kind)
    method = make(make.Config(learning_rate=1e-2))
    loop = Loop(method, method.prepare(backbone), masked_runs.batches(backbone), 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loop.train()
    assert torch.tensor(loop.losses).isfinite().all()
    view, batch = loop.model.eval(), tiny_batch(backbone)
    in_training = view(**batch).logits
    deployed = method.deploy(view)
    torch.testing.assert_close(deployed(**batch).logits, in_training, rtol=1e-5, atol=1e-5)
    assert all(parameter.dtype == torch.float32 for parameter in deployed.parameters())
    if make is not SoftMovement:
        assert all(zeros == int(0.9 * n) for zeros, n in masked_runs.zeros_by_matrix(deployed))


@pytest.mark.parametrize("make", METHODS)
def test_trains_a_model_of_bf16_weights(make: type[Method]) -> None:
    backbone = tiny_backbone("bert")
    backbone.model.to(torch.bfloat16)
    method = make(make.Config(learning_rate=1e-2))
    loop = Loop(method, method.prepare(backbone), masked_runs.batches(backbone), 6)
    loop.train()
    deployed = method.deploy(loop.model.eval())
    assert all(parameter.dtype == torch.bfloat16 for parameter in deployed.parameters())
    if make is not SoftMovement:
        assert all(zeros >= int(0.9 * n) for zeros, n in masked_runs.zeros_by_matrix(deployed))
