"""A differentiable substitute for the activation density, the share of activations not zero.

The density itself has no gradient. A surrogate maps an activation to a number between 0 and about 1
(``l1``: to its absolute value), and its mean over activations is a penalty.

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
    def forward(
        ctx: Any, values: Tensor, tokens: Tensor | None, surrogate: Surrogate, sharpness: float
    ) -> Tensor:
        ctx.save_for_backward(values, tokens)
        ctx.surrogate, ctx.sharpness = surrogate, sharpness
        counted = values if tokens is None else values[tokens]
        sums = [_sum(part, surrogate, sharpness) for part in _pieces(counted)]
        return torch.stack(sums).sum() / max(counted.numel(), 1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        values, tokens = ctx.saved_tensors
        counted = values if tokens is None else values[tokens]
        result = torch.empty_like(counted, memory_format=torch.contiguous_format)
        factor = grad / max(counted.numel(), 1)
        for part, into in zip(_pieces(counted), _pieces(result), strict=True):
            into.copy_(_derivative(part, ctx.surrogate, ctx.sharpness).mul_(factor))
        if tokens is not None:
            whole = torch.zeros_like(values, memory_format=torch.contiguous_format)
            whole[tokens] = result
            result = whole
        return result, None, None, None


def mean_surrogate(
    values: Tensor,
    surrogate: Surrogate,
    *,
    eps: float,
    beta: float,
    mask: Tensor | None = None,
) -> Tensor:
    """Return the mean of a surrogate over the entries of all real tokens, a scalar in fp32.

    Args:
        values: Activations of any type: of any shape, or ``[batch, tokens, units]`` with a mask.
        surrogate: The surrogate.
        eps: The constant of ``ratio``.
        beta: The constant of ``tanh``.
        mask: Which tokens ``[batch, tokens]`` are not padding, as ``token_mask`` reads it.
    """
    sharpness = eps if surrogate is Surrogate.RATIO else beta
    tokens = None if mask is None else token_mask(mask, values)
    mean: Tensor = _Mean.apply(values, tokens, surrogate, sharpness)  # type: ignore[no-untyped-call]
    return mean


def token_mask(mask: Tensor | None, activations: Tensor) -> Tensor:
    """Return which tokens are not padding, a boolean ``[batch, tokens]`` for all activations.

    Args:
        mask: The mask of the model's inputs, 0 for padding; None for no padding. It may be shorter
            than the activations: the virtual tokens of a prompt come first, and are not padding.
            It may be longer: those of a prefix have no activations.
        activations: Activations ``[batch, tokens, units]``.
    """
    batch, tokens, _ = activations.shape
    whole = torch.ones(batch, tokens, dtype=torch.bool, device=activations.device)
    if mask is not None:
        known = min(tokens, mask.shape[1])
        whole[:, tokens - known :] = mask[:, mask.shape[1] - known :].bool()
    return whole


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
