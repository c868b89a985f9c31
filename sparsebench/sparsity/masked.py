"""Weights under a mask that is a buffer: chosen between steps, saved with every checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from sparsebench.sparsity.parametrized_linear import attached, fold

if TYPE_CHECKING:
    from torch import Tensor


class Masked(nn.Module):
    """The map ``weight * mask``, and the base class of every map with a mask.

    The raw weight keeps its value where it is pruned, gets no gradient there, and comes back if a
    later mask keeps it. A subclass adds what it trains and its scores.

    Args:
        weight: The matrix ``[out, in]``. The first mask prunes nothing.

    Attributes:
        mask: Boolean ``[out, in]``, True where the weight stays.
    """

    mask: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        kept = torch.ones(weight.shape, dtype=torch.bool, device=weight.device)
        self.register_buffer("mask", kept)

    def score(self, weight: Tensor) -> Tensor:
        """Return the scores ``[out, in]``, here magnitudes: the lowest are pruned."""
        return weight.abs()

    def forward(self, weight: Tensor) -> Tensor:
        """Return the masked weight ``[out, in]``."""
        return weight * self.mask


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, scores: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG004
        ctx.save_for_backward(weight, mask)
        return weight * mask

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        weight, mask = ctx.saved_tensors
        return (
            grad * mask if ctx.needs_input_grad[0] else None,
            grad * weight if ctx.needs_input_grad[1] else None,
            None,
        )


def straight_through(weight: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
    """Return ``weight * mask``, with a gradient for the scores as if they were the mask.

    With G the gradient of the result, the weight gets ``G * mask`` and the scores ``G * weight``.

    Args:
        weight: The weight ``[out, in]``.
        scores: The scores ``[out, in]`` that the mask was chosen by.
        mask: Boolean ``[out, in]``.
    """
    result: Tensor = _StraightThrough.apply(weight, scores, mask)  # type: ignore[no-untyped-call]
    return result


@torch.no_grad()
def fold_masked(model: nn.Module) -> None:
    """Fold a model whose maps have masks; every pruned weight becomes zero.

    Raises:
        RuntimeError: A map returned another value than zero for a pruned weight.
    """
    masks = [(weight, change.mask) for weight, change in attached(model, Masked)]
    fold(model)
    for weight, mask in masks:
        if weight[~mask].any():
            raise RuntimeError("a pruned weight is not zero after folding")
        weight.masked_fill_(~mask, 0.0)  # no negative zero
