from __future__ import annotations

import pytest
import torch
from tiny_models import KINDS, tiny_backbone
from torch import nn

from sparsebench.sparsity import (
    Masked,
    Scope,
    attach,
    attached,
    fold_masked,
    has_sparsity,
    remask,
    straight_through,
)


def masked_model(kind: str = "bert") -> nn.Module:
    backbone = tiny_backbone(kind)
    model: nn.Module = backbone.model
    attach(model, {m: Masked(m.weight(model)) for m in backbone.anatomy.matrices()})
    return model


def test_straight_through_gradients() -> None:
    weight = torch.randn(5, 7, requires_grad=True)
    scores = torch.randn(5, 7, requires_grad=True)
    mask, grad = torch.rand(5, 7) > 0.5, torch.randn(5, 7)
    result = straight_through(weight, scores, mask)
    result.backward(grad)
    assert torch.equal(result, weight * mask)
    assert torch.equal(weight.grad, grad * mask)  # type: ignore[arg-type]
    assert torch.equal(scores.grad, grad * weight)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scope", Scope)
def test_prunes_the_asked_share_of_the_smallest(kind: str, scope: Scope) -> None:
    model = masked_model(kind)
    assert has_sparsity(model, 0.0, scope=scope)
    remask(model, sparsity=0.7, scope=scope)
    parts = list(attached(model, Masked))
    pools = [parts] if scope is Scope.GLOBAL else [[part] for part in parts]
    for pool in pools:
        kept = torch.cat([weight.abs()[change.mask] for weight, change in pool])
        pruned = torch.cat([weight.abs()[~change.mask] for weight, change in pool])
        assert pruned.numel() == int(0.7 * (kept.numel() + pruned.numel()))
        assert pruned.max() <= kept.min()
    assert has_sparsity(model, 0.7, scope=scope)
    assert not has_sparsity(model, 0.6, scope=scope)


def test_global_scope_differs_from_matrix_to_matrix() -> None:
    model = masked_model("t5")
    with torch.no_grad():
        for weight, _ in list(attached(model, Masked))[:4]:
            weight.mul_(0.1)
    remask(model, sparsity=0.3, scope=Scope.GLOBAL)
    assert not has_sparsity(model, 0.3)
    assert has_sparsity(model, 0.3, scope=Scope.GLOBAL)


@pytest.mark.parametrize("kind", KINDS)
def test_folding_writes_zeros_without_a_sign(kind: str) -> None:
    model = masked_model(kind)
    remask(model, sparsity=0.5)
    masks = [change.mask for _, change in attached(model, Masked)]
    weights = [weight for weight, _ in attached(model, Masked)]
    fold_masked(model)
    for weight, mask in zip(weights, masks, strict=True):
        assert torch.equal(weight == 0, ~mask)
        assert not weight[~mask].signbit().any()


def test_folding_notices_what_is_not_zero() -> None:
    model = masked_model()
    remask(model, sparsity=0.5)
    weight, change = next(attached(model, Masked))
    with torch.no_grad():
        weight[~change.mask] = torch.nan
    with pytest.raises(RuntimeError, match="not zero after folding"):
        fold_masked(model)
