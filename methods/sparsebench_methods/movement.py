"""Movement pruning: a score for every weight, learned while the weights are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field
from torch import nn

from sparsebench.sparsity import Masked, Scope, attach, attached, straight_through
from sparsebench_methods.scheduled import ScheduleConfig, ScheduledSparsity

if TYPE_CHECKING:
    from torch import Tensor

    from sparsebench import Backbone


class MovementConfig(ScheduleConfig):
    """Settings of ``movement``."""

    learning_rate: float = Field(default=3e-5, gt=0)
    """Peak learning rate of the weights."""

    score_learning_rate: float = Field(default=1e-2, gt=0)
    """Peak learning rate of the scores."""

    scope: Scope = Scope.PER_MATRIX
    """Whether scores compete within each matrix or across all."""


class ScoredWeight(Masked):
    """The map ``weight * mask`` with a learned score for each weight, 0 at first.

    Args:
        weight: The matrix ``[out, in]``.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__(weight)
        self.scores = nn.Parameter(weight.new_zeros(weight.shape))

    def score(self, weight: Tensor) -> Tensor:  # noqa: ARG002 - the weight itself does not matter
        """Returns the learned scores ``[out, in]``."""
        return self.scores

    def forward(self, weight: Tensor) -> Tensor:
        """Returns the masked weight ``[out, in]``."""
        return straight_through(weight, self.scores, self.mask)


class Movement(ScheduledSparsity):
    """Trains every weight of the model, and of the blocks' matrices a score for each as well.

    A score gathers how far training moves its weight away from zero; the weights with the lowest
    scores are pruned, on a cubic schedule, and may come back. No distillation.
    """

    Config = MovementConfig
    paper = "arXiv:2005.07683"
    config: MovementConfig

    @property
    def scope(self) -> Scope:
        """Where scores compete."""
        return self.config.scope

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Lets everything train, and adds the scores."""
        return add_scores(backbone)

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Gives the scores a learning rate of their own, and no weight decay."""
        return score_groups(
            super().parameter_groups(model), model, learning_rate=self.config.score_learning_rate
        )


def add_scores(backbone: Backbone) -> nn.Module:
    """Lets a backbone's parameters train, and gives the weights of its blocks a score each."""
    model: nn.Module = backbone.model.requires_grad_(requires_grad=True)
    attach(model, {m: ScoredWeight(m.weight(model).detach()) for m in backbone.anatomy.matrices()})
    return model


def score_groups(
    groups: list[dict[str, Any]], model: nn.Module, *, learning_rate: float
) -> list[dict[str, Any]]:
    """Returns optimizer groups with the scores moved to one of their own."""
    scores = [change.scores for _, change in attached(model, ScoredWeight)]
    taken = {id(score) for score in scores}
    rest = [{**g, "params": [p for p in g["params"] if id(p) not in taken]} for g in groups]
    return [*rest, {"params": scores, "lr": learning_rate, "weight_decay": 0.0}]
