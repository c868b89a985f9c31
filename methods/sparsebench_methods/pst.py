"""PST: low-rank updates of weights and of their importance, which determines the mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from pydantic import Field
from torch import nn

from sparsebench.sparsity import Masked, attach, no_autocast
from sparsebench_methods.scheduled import ScheduleConfig, ScheduledSparsity

if TYPE_CHECKING:
    from torch import Tensor

    from sparsebench import Backbone


class PSTConfig(ScheduleConfig):
    """Settings of ``pst``."""

    learning_rate: float = Field(default=1e-4, gt=0)
    """Peak learning rate."""

    end: float = Field(default=0.7, ge=0, le=1)
    """Share of the run after which sparsity is final."""

    weight_rank: int = Field(default=8, ge=1)
    """Rank r1 of the update of a weight, ``U V``."""

    score_rank: int = Field(default=8, ge=1)
    """Rank r2 of the data-driven importance, ``A B``."""

    beta: float = 1.0
    """Scale of the update ``U V``."""

    alpha1: float = 1.0
    """Scale of the importance ``A B`` of single weights."""

    alpha2: float = 1.0
    """Scale of the importance ``R + C`` of rows and columns."""

    train_head: bool = True
    """Whether the task head trains; the authors' code keeps its random values."""

    detach_magnitude: bool = False
    """Whether the magnitude in the score passes no gradient; in the authors' code it does."""


class PST(ScheduledSparsity):
    """Trains low-rank updates of frozen weights, and of the importance that determines their mask.

    A weight becomes ``M * W'`` with ``W' = W0 + beta U V``. Its mask M prunes the lowest of
    ``|W'| + alpha1 A B + alpha2 (R + C)`` in its matrix, and is chosen again at every step;
    gradients pass the mask straight through. Sparsity grows on a cubic schedule.
    """

    Config = PSTConfig
    paper = "arXiv:2205.11005"
    config: PSTConfig

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Freeze the model, except the head if it trains, and add U, V, A, B, R and C."""
        model: nn.Module = backbone.model
        backbone.freeze(except_head=self.config.train_head)
        matrices = backbone.anatomy.matrices()
        attach(model, {m: PSTWeight(m.weight(model), self.config) for m in matrices})
        return model


class PSTWeight(Masked):
    """The map ``W0 -> M * (W0 + beta U V)``, with the parameters that determine M.

    At the start it returns the plain weight, and its scores are the plain magnitudes.

    Args:
        weight: The frozen weight W0 ``[out, in]``.
        config: The settings of the method.
    """

    def __init__(self, weight: Tensor, config: PSTConfig) -> None:
        super().__init__(weight)
        rows, columns = weight.shape
        new = weight.detach().new_empty
        self.U = nn.Parameter(new(rows, config.weight_rank).normal_())
        self.V = nn.Parameter(new(config.weight_rank, columns).zero_())
        self.A = nn.Parameter(new(rows, config.score_rank).normal_())
        self.B = nn.Parameter(new(config.score_rank, columns).zero_())
        self.R = nn.Parameter(new(rows).zero_())
        self.C = nn.Parameter(new(columns).zero_())
        self.config = config

    def score(self, weight: Tensor) -> Tensor:
        """Return the importance ``[out, in]``: magnitude plus the learned terms."""
        config = self.config
        score = torch.addmm(weight, self.U, self.V, alpha=config.beta).abs_()
        score.addmm_(self.A, self.B, alpha=config.alpha1)
        score.add_(self.R[:, None], alpha=config.alpha2)
        return score.add_(self.C, alpha=config.alpha2)

    def forward(self, weight: Tensor) -> Tensor:
        """Return ``M * W'`` ``[out, in]``."""
        learned = (self.U, self.V, self.A, self.B, self.R, self.C)
        result: Tensor = _MaskedUpdate.apply(weight, *learned, self.mask, self.config)  # type: ignore[no-untyped-call]
        return result


class _MaskedUpdate(torch.autograd.Function):
    """``M * (W0 + beta U V)``, with the straight-through gradients of all six factors.

    The backward pass needs no other tensor of the weight's size than W0 and the mask, which exist
    anyway; the scores are not computed.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, *rest: Any) -> Tensor:
        """Return the masked weight ``[out, in]``."""
        *learned, mask, config = rest
        ctx.save_for_backward(weight, *learned, mask)
        ctx.config = config
        return torch.addmm(weight, learned[0], learned[1], alpha=config.beta).mul_(mask)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        """Return the gradients; ``grad`` is G, the gradient of ``M * W'``."""
        with no_autocast(grad):
            return _MaskedUpdate._gradients(grad, ctx.saved_tensors, ctx.config)

    @staticmethod
    def _gradients(grad: Tensor, saved: tuple[Tensor, ...], config: PSTConfig) -> tuple[Any, ...]:
        weight, u, v, a, b, _, _, mask = saved
        updated = torch.addmm(weight, u, v, alpha=config.beta)
        score_grad = grad * updated
        if config.detach_magnitude:
            weight_grad = grad * mask
        else:
            weight_grad = updated.abs_().add_(mask).mul_(grad)
        return (
            None,
            weight_grad @ v.T * config.beta,
            u.T @ weight_grad * config.beta,
            score_grad @ b.T * config.alpha1,
            a.T @ score_grad * config.alpha1,
            score_grad.sum(1) * config.alpha2,
            score_grad.sum(0) * config.alpha2,
            None,
            None,
        )
