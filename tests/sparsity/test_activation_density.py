"""Surrogates of the activation density: values, gradients, memory, types."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sparsebench.sparsity import activation_density
from sparsebench.sparsity.activation_density import Surrogate, mean_surrogate

EPS, BETA = 1e-3, 2.5
FORMULAS = {
    Surrogate.RATIO: lambda x: x**2 / (x**2 + EPS),
    Surrogate.TANH: lambda x: torch.tanh(BETA * x.abs()),
    Surrogate.L1: lambda x: x.abs(),
}


def activations(*shape: int) -> torch.Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    return values.masked_fill(values < -1, 0.0).requires_grad_()


@pytest.mark.parametrize("surrogate", Surrogate)
@pytest.mark.parametrize("piece", [7, 2**17])
def test_equals_its_formula(
    surrogate: Surrogate, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(activation_density._PIECE, "cpu", piece)
    values = activations(2, 3, 11)
    reference = values.detach().double().requires_grad_()
    mean = mean_surrogate(values, surrogate, eps=EPS, beta=BETA)
    expected = FORMULAS[surrogate](reference).mean()
    torch.testing.assert_close(mean.double(), expected, atol=1e-6, rtol=1e-5)
    (3 * mean).backward()
    (3 * expected).backward()
    torch.testing.assert_close(values.grad.double(), reference.grad, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("surrogate", Surrogate)
@pytest.mark.parametrize("seen", [3, 5])
def test_padding_is_left_out(surrogate: Surrogate, seen: int) -> None:
    """Virtual tokens come before those of a shorter mask; a longer mask has a prefix."""
    values = activations(2, 4, 11)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])[:, -seen:]
    kept = torch.ones(2, 4, dtype=torch.bool)
    kept[0, 2:] = False
    reference = values.detach().double().requires_grad_()
    mean = mean_surrogate(values, surrogate, eps=EPS, beta=BETA, mask=mask)
    expected = FORMULAS[surrogate](reference[kept]).mean()
    torch.testing.assert_close(mean.double(), expected, atol=1e-6, rtol=1e-5)
    mean.backward()
    expected.backward()
    torch.testing.assert_close(values.grad.double(), reference.grad, atol=1e-6, rtol=1e-5)


def test_without_a_real_token_the_mean_is_zero() -> None:
    values = activations(1, 2, 3)
    mask = torch.zeros(1, 2)
    mean = mean_surrogate(values, Surrogate.L1, eps=EPS, beta=BETA, mask=mask)
    mean.backward()
    assert mean.item() == 0.0
    assert values.grad.abs().sum().item() == 0.0


def test_the_published_eps_counts() -> None:
    values = torch.tensor([0.0, 1e-6, 0.5, -2.0, 300.0])
    mean = mean_surrogate(values, Surrogate.RATIO, eps=1e-7, beta=1.0)
    assert mean.item() == pytest.approx(3 / 5, abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_single(dtype: torch.dtype) -> None:
    values = (300 * activations(4, 50).detach()).to(dtype).requires_grad_()
    mean = mean_surrogate(values, Surrogate.RATIO, eps=1e-7, beta=1.0)
    mean.backward()
    assert mean.dtype == torch.float32
    assert mean.item() == pytest.approx((values != 0).float().mean().item(), abs=1e-5)
    assert values.grad.dtype == dtype
    assert torch.isfinite(values.grad).all()


@pytest.mark.parametrize("surrogate", Surrogate)
def test_keeps_the_activations_only(surrogate: Surrogate) -> None:
    kept: list[Any] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    values = activations(2, 50)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        mean_surrogate(values, surrogate, eps=EPS, beta=BETA)
    assert [tensor.data_ptr() for tensor in kept] == [values.data_ptr()]
