"""Scores of weights by the gradients of some training examples, without training them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

    from sparsebench import TrainingData
    from sparsebench.models import Matrix

_BATCH = 8
"""Examples of a backward pass, so that looking needs less memory than training."""


class GradientScore(StrEnum):
    """The score of a weight ``w`` with the gradient ``g``, summed over examples."""

    GRADIENT = "gradient"
    """``|mean g|``."""

    SNIP = "snip"
    """``|w * mean g|``: how much the loss changes, to first order, without the weight (SNIP)."""

    FISHER = "fisher"
    """``mean g^2``, of each example alone: the diagonal of the empirical Fisher information."""


def gradient_scores(
    model: nn.Module,
    matrices: Sequence[Matrix],
    data: TrainingData,
    *,
    examples: int,
    score: GradientScore,
) -> dict[Matrix, Tensor]:
    """Return a score ``[out, in]`` for every weight of some matrices.

    There is one buffer of the size of each module's weight; the gradient of a module is added to it
    and freed before that of the next one is computed. What trains is the same afterwards.

    Args:
        model: The training view.
        matrices: The matrices.
        data: The training examples.
        examples: How many of them to look at.
        score: What to compute.
    """
    each = score is GradientScore.FISHER
    modules = {matrix.path: matrix.module(model) for matrix in matrices}
    weights: dict[str, Any] = {path: module.weight for path, module in modules.items()}
    sums = {path: torch.zeros_like(weight) for path, weight in weights.items()}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.requires_grad_(requires_grad=False)
    share = 1.0

    def adder(total: Tensor) -> Callable[[nn.Parameter], None]:
        def add(weight: nn.Parameter) -> None:
            assert weight.grad is not None  # noqa: S101 - it has just been computed
            gradient = weight.grad.square_() if each else weight.grad
            total.add_(gradient, alpha=share)
            weight.grad = None

        return add

    handles = []
    for path, weight in weights.items():
        weight.requires_grad_()
        handles.append(weight.register_post_accumulate_grad_hook(adder(sums[path])))
    try:
        for batch in data.batches(examples, size=1 if each else _BATCH):
            share = len(batch["input_ids"]) / examples
            model(**batch).loss.backward()
    finally:
        for handle in handles:
            handle.remove()
        model.requires_grad_(requires_grad=False)
        for parameter in trained:
            parameter.requires_grad_()
    return {matrix: _score(matrix, model, sums[matrix.path], score) for matrix in matrices}


@torch.no_grad()
def _score(matrix: Matrix, model: nn.Module, total: Tensor, score: GradientScore) -> Tensor:
    mean = matrix.view(total)
    if score is GradientScore.SNIP:
        mean = mean * matrix.weight(model)
    return mean.abs()
