from __future__ import annotations

import pytest
import torch
from tiny_models import KINDS, tiny_backbone, tiny_batch
from torch import nn

from sparsebench import Role
from sparsebench.models import anatomy_of
from sparsebench.sparsity import ParametrizedLinear, attach, attached, fold


class Scaled(nn.Module):
    """The map ``weight * factor``, and a note of the shapes it saw."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight * self.factor


@pytest.mark.parametrize("kind", KINDS)
def test_the_identity_changes_nothing(kind: str) -> None:
    backbone = tiny_backbone(kind)
    model, batch = backbone.model.eval(), tiny_batch(backbone)
    before = model(**batch).logits
    attach(model, {matrix: Scaled() for matrix in backbone.anatomy.matrices()})
    torch.testing.assert_close(model(**batch).logits, before, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_matrix_gets_its_own_map_and_folding_keeps_the_function(kind: str) -> None:
    backbone = tiny_backbone(kind)
    model, batch = backbone.model.eval(), tiny_batch(backbone)
    structure = str(model)
    matrices = list(backbone.anatomy.matrices())
    raw = [matrix.weight(model).clone() for matrix in matrices]
    attach(model, {m: Scaled(0.5 + i / 100) for i, m in enumerate(matrices)})
    assert list(anatomy_of(model).matrices()) == matrices
    mapped = model(**batch).logits
    fold(model)
    for i, (matrix, weight) in enumerate(zip(matrices, raw, strict=True)):
        torch.testing.assert_close(matrix.weight(model), weight * (0.5 + i / 100))
    torch.testing.assert_close(model(**batch).logits, mapped, rtol=1e-5, atol=1e-5)
    assert str(model) == structure
    assert not [m for m in model.modules() if isinstance(m, ParametrizedLinear)]


def test_gradients_reach_the_maps_and_the_raw_weight() -> None:
    backbone = tiny_backbone("gpt2")
    attach(backbone.model, {m: Scaled() for m in backbone.anatomy.matrices()})
    backbone.model(**tiny_batch(backbone)).loss.backward()
    for weight, change in attached(backbone.model, Scaled):
        assert change.factor.grad is not None
        assert weight.requires_grad
    assert all(p.grad is not None for p in backbone.model.parameters())


def test_the_order_of_fused_matrices_does_not_matter() -> None:
    backbone = tiny_backbone("gpt2")
    model, batch = backbone.model.eval(), tiny_batch(backbone)
    before = model(**batch).logits
    fused = list(backbone.anatomy.matrices(Role.QUERY, Role.KEY, Role.VALUE))
    attach(model, {matrix: nn.Identity() for matrix in reversed(fused)})
    torch.testing.assert_close(model(**batch).logits, before, rtol=1e-5, atol=1e-5)


def test_refuses_a_part_of_a_fused_module() -> None:
    backbone = tiny_backbone("gpt2")
    maps = {matrix: nn.Identity() for matrix in backbone.anatomy.matrices(Role.QUERY)}
    with pytest.raises(ValueError, match=r"transformer.h.0.attn.c_attn: not all"):
        attach(backbone.model, maps)


def test_maps_compute_outside_autocast() -> None:
    backbone = tiny_backbone("bert")
    seen = []

    class Noting(nn.Module):
        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            seen.append((weight @ weight.T).dtype)
            return weight

    attach(backbone.model, {m: Noting() for m in backbone.anatomy.matrices()})
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert backbone.model(**tiny_batch(backbone)).logits.dtype == torch.bfloat16
    assert set(seen) == {torch.float32}


def test_state_survives_a_round_trip() -> None:
    first, second = tiny_backbone("gpt2"), tiny_backbone("gpt2", seed=1)
    for backbone in (first, second):
        attach(backbone.model, {m: Scaled(2.0) for m in backbone.anatomy.matrices()})
    second.model.load_state_dict(first.model.state_dict())
    batch = tiny_batch(first)
    assert torch.equal(first.model.eval()(**batch).logits, second.model.eval()(**batch).logits)
