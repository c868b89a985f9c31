"""Assertions that hold for every method with a mask, whatever its scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from contract_loop import Loop
from tiny_models import tiny_backbone, tiny_batch

from sparsebench.models import Backbone, anatomy_of
from sparsebench.sparsity import Masked, ParametrizedLinear, attached

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from sparsebench import Method


def batches(backbone: Backbone) -> list[dict[str, torch.Tensor]]:
    return [tiny_batch(backbone, seed=seed) for seed in range(3)]


def zeros_by_matrix(model: nn.Module) -> list[tuple[int, int]]:
    """Return zeros and size of every matrix of the blocks of a plain model."""
    weights = [matrix.weight(model) for matrix in anatomy_of(model).matrices()]
    return [(int((weight == 0).sum()), weight.numel()) for weight in weights]


def dense_parts(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the parameters outside the matrices of the blocks, by name."""
    paths = {matrix.path for matrix in anatomy_of(model).matrices()}
    return {n: p for n, p in model.named_parameters() if n.rpartition(".")[0] not in paths}


def assert_plain(deployed: nn.Module, structure: str) -> None:
    assert str(deployed) == structure
    for module in deployed.modules():
        assert not isinstance(module, ParametrizedLinear)
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not hasattr(module, "parametrizations")
    assert not any(name.endswith("mask") for name, _ in deployed.named_buffers())


def assert_trains_and_deploys(
    method: Method, kind: str, *, zeros: Callable[[int], int] | None
) -> None:
    """Prepare, train and deploy a method on one kind of backbone, and check the deployed model."""
    backbone = tiny_backbone(kind)
    structure, head = str(backbone.model), dense_parts(backbone.model)
    loop = Loop(method, method.prepare(backbone), batches(backbone), 10)
    loop.train()
    view, batch = loop.model.eval(), tiny_batch(backbone, seed=7)
    in_training = view(**batch).logits
    deployed = method.deploy(view)
    assert_plain(deployed, structure)
    torch.testing.assert_close(deployed(**batch).logits, in_training, rtol=1e-5, atol=1e-5)
    if zeros is not None:
        assert [found for found, _ in zeros_by_matrix(deployed)] == [
            zeros(size) for _, size in zeros_by_matrix(deployed)
        ]
    assert dense_parts(deployed).keys() == head.keys()
    assert all((p != 0).any() for p in dense_parts(deployed).values())


def assert_pruned_weights_stay_zero(method: Method, kind: str = "bert") -> None:
    """Check every masked weight after every step of a run with momentum and weight decay."""
    backbone = tiny_backbone(kind)
    view = method.prepare(backbone)
    seen = []

    def look(step: int) -> None:
        for weight, change in attached(view, Masked):
            assert not change(weight)[~change.mask].any()
        seen.append(sum(int((~change.mask).sum()) for _, change in attached(view, Masked)))

    Loop(method, view, batches(backbone), 12, after_step=look).train()
    assert seen[-1] > 0


def assert_resumes(make: Callable[[], Method], kind: str, *, at: int, steps: int = 12) -> None:
    """Interrupt a run, resume it in fresh objects, and compare with an uninterrupted run."""

    def begin(seed: int) -> Loop:
        backbone = tiny_backbone(kind)
        torch.manual_seed(seed)
        method = make()
        return Loop(method, method.prepare(backbone).eval(), batches(backbone), steps)

    whole = begin(seed=1)
    whole.train()
    first = begin(seed=1)
    checkpoint = first.train(until=at)
    second = begin(seed=2)
    second.train(since=checkpoint)
    assert first.losses + second.losses == whole.losses
    for (name, a), b in zip(
        whole.model.state_dict().items(), second.model.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name
