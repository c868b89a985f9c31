"""AdaLoRA's ranks fall to their target in shares of the run, and stay."""

from __future__ import annotations

from typing import Any

import torch
from method_steps import train_steps
from sparsebench_methods.peft import PEFT, PEFTConfig
from tiny_models import tiny_backbone, tiny_batch

MATRICES = 6


def make(**settings: Any) -> tuple[PEFT, Any]:
    chosen = {"init_r": 6, "target_r": 2, **settings}
    method = PEFT(PEFTConfig(tuner="adalora", settings=chosen))
    return method, method.prepare(tiny_backbone("bert"))


def ranks(view: Any) -> int:
    """Returns the singular values that are not zero, over all matrices."""
    return sum(int((p != 0).sum()) for n, p in view.named_parameters() if "lora_E" in n)


def test_ranks_fall_to_their_target_and_stay() -> None:
    method, view = make()
    batch = tiny_batch(tiny_backbone("bert"))
    optimizer = torch.optim.AdamW(method.parameter_groups(view), lr=1e-2)
    seen = {}
    for step in range(20):
        method.before_step(view, step / 20)
        seen[step] = ranks(view)
        penalty = method.penalty(view)
        assert penalty is not None
        (view(**batch).loss + penalty).backward()
        optimizer.step()
        optimizer.zero_grad()
    method.before_step(view, 1.0)
    assert seen[2] == 6 * MATRICES
    assert 2 * MATRICES < seen[5] < 6 * MATRICES
    assert seen[10] == seen[19] == ranks(view) == 2 * MATRICES
    assert not method.is_final(0.49)
    assert method.is_final(0.5)


def test_ranks_survive_a_resume() -> None:
    method, view = make()
    train_steps(method, view, tiny_batch(tiny_backbone("bert")), steps=12)
    resumed, other = make()
    other.load_state_dict(view.state_dict())
    kept = {n: b for n, b in view.named_buffers() if n.endswith("kept")}
    assert kept
    train_steps(resumed, other, tiny_batch(tiny_backbone("bert")), steps=1)
    for name, values in other.named_parameters():
        if "lora_E" in name:
            mask = kept[name.replace("lora_E.default", "kept")]
            assert not values[~mask].any()
            assert values[mask].all()


def test_a_run_resumed_while_ranks_fall_goes_on_as_if_it_had_not_stopped() -> None:
    batch = tiny_batch(tiny_backbone("bert"))

    def train(method: PEFT, view: Any, steps: range) -> None:
        view.eval()  # no dropout
        optimizer = torch.optim.SGD(method.parameter_groups(view), lr=0.1)
        for step in steps:
            method.before_step(view, step / 20)
            penalty = method.penalty(view)
            assert penalty is not None
            (view(**batch).loss + penalty).backward()
            optimizer.step()
            optimizer.zero_grad()
        method.before_step(view, steps.stop / 20)

    method, view = make()
    train(method, view, range(5))
    saved = {name: values.clone() for name, values in view.state_dict().items()}
    train(method, view, range(5, 12))
    resumed, other = make()
    other.load_state_dict(saved)
    train(resumed, other, range(5, 12))
    assert 2 * MATRICES == ranks(view) < 6 * MATRICES
    for name, values in view.named_parameters():
        torch.testing.assert_close(other.get_parameter(name), values, rtol=0, atol=0, msg=name)


def test_penalty_is_the_distance_from_orthogonality() -> None:
    method, view = make(orth_reg_weight=0.5)
    with torch.no_grad():
        for name, vectors in view.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                torch.nn.init.orthogonal_(vectors)
    penalty = method.penalty(view)
    assert penalty is not None
    assert penalty < 1e-5
    with torch.no_grad():
        for name, vectors in view.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                vectors.mul_(2**0.5)
    torch.testing.assert_close(method.penalty(view), torch.tensor(0.5 * 6**0.5))


def test_equal_ranks_leave_nothing_to_prune() -> None:
    method, view = make(init_r=4, target_r=4)
    train_steps(method, view, tiny_batch(tiny_backbone("bert")), steps=6)
    assert ranks(view) == 4 * MATRICES


def test_other_tuners_have_no_schedule() -> None:
    method = PEFT(PEFTConfig(tuner="lora"))
    view = method.prepare(tiny_backbone("bert"))
    assert method.penalty(view) is None
    assert method.is_final(0.0)
