"""A differentiable substitute for the activation density, the share of activations not zero.

The density itself has no gradient. A surrogate maps an activation to a number between 0 and about 1
(``l1``: to its absolute value), and its mean over all activations is a penalty.

The mean of a whole tensor is one operator. For its backward pass it keeps only the activations. It
computes in fp32 whatever their type, and piece by piece, so that it needs the memory of one piece.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

_PIECE = {"cpu": 2**17}
"""Entries of a piece: on a CPU, as many as its cache holds."""

_PIECE_ELSEWHERE = 2**25


class Surrogate(StrEnum):
    """A differentiable function that approximates "is not zero"."""

    RATIO = "ratio"
    """``x^2 / (x^2 + eps)``."""

    TANH = "tanh"
    """``tanh(beta |x|)``."""

    L1 = "l1"
    """``|x|``."""


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, surrogate: Surrogate, sharpness: float) -> Tensor:
        ctx.save_for_backward(values)
        ctx.surrogate, ctx.sharpness = surrogate, sharpness
        sums = [_sum(part, surrogate, sharpness) for part in _pieces(values)]
        return torch.stack(sums).sum() / values.numel()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (values,) = ctx.saved_tensors
        result = torch.empty_like(values, memory_format=torch.contiguous_format)
        factor = grad / values.numel()
        for part, into in zip(_pieces(values), _pieces(result), strict=True):
            into.copy_(_derivative(part, ctx.surrogate, ctx.sharpness).mul_(factor))
        return result, None, None


def mean_surrogate(values: Tensor, surrogate: Surrogate, *, eps: float, beta: float) -> Tensor:
    """Return the mean of a surrogate over all entries, a scalar in fp32.

    Args:
        values: Activations of any shape and type.
        surrogate: The surrogate.
        eps: The constant of ``ratio``.
        beta: The constant of ``tanh``.
    """
    sharpness = eps if surrogate is Surrogate.RATIO else beta
    mean: Tensor = _Mean.apply(values, surrogate, sharpness)  # type: ignore[no-untyped-call]
    return mean


def _pieces(values: Tensor) -> tuple[Tensor, ...]:
    size = _PIECE.get(values.device.type, _PIECE_ELSEWHERE)
    return torch.split(values.reshape(-1), size)


def _sum(values: Tensor, surrogate: Surrogate, sharpness: float) -> Tensor:
    values = values.float()
    if surrogate is Surrogate.RATIO:  # 1 - eps / (x^2 + eps)
        zeros = values.square().add_(sharpness).reciprocal_().sum() * sharpness
        return values.numel() - zeros
    if surrogate is Surrogate.TANH:
        return values.abs().mul_(sharpness).tanh_().sum()
    return values.abs().sum()


def _derivative(values: Tensor, surrogate: Surrogate, sharpness: float) -> Tensor:
    values = values.float()
    if surrogate is Surrogate.RATIO:  # 2 eps x / (x^2 + eps)^2
        inverse = values.square().add_(sharpness).reciprocal_()
        return inverse.square_().mul_(values).mul_(2 * sharpness)
    if surrogate is Surrogate.TANH:  # beta sign(x) (1 - tanh(beta x)^2)
        squared = (values * sharpness).tanh_().square_()
        return squared.neg_().add_(1).mul_(values.sign()).mul_(sharpness)
    return values.sign()
