"""Movement pruning: weights that training moves towards zero are pruned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field
from torch import nn

from sparsebench import Method, MethodConfig
from sparsebench.sparsity import Masked, Scope, attach, attached, straight_through
from sparsebench_methods.scheduled import ScheduleConfig, ScheduledSparsity

if TYPE_CHECKING:
    from torch import Tensor

    from sparsebench import Anatomy, Backbone


class ScoredConfig(MethodConfig):
    """Settings of every method with a score for each weight."""

    learning_rate: float = Field(default=3e-5, gt=0)
    """Peak learning rate of the weights."""

    score_learning_rate: float = Field(default=1e-2, gt=0)
    """Peak learning rate of the scores."""

    train_embeddings: bool = False
    """Whether the embeddings train; the authors freeze them."""


class ScoredWeight(Masked):
    """The map ``weight * mask`` with a learned score for each weight, 0 at first.

    Args:
        weight: The matrix ``[out, in]``.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__(weight)
        self.scores = nn.Parameter(weight.detach().new_zeros(weight.shape))

    def score(self, weight: Tensor) -> Tensor:  # noqa: ARG002 - the score does not depend on it
        """Return the learned scores ``[out, in]``."""
        return self.scores

    def forward(self, weight: Tensor) -> Tensor:
        """Return the masked weight ``[out, in]``."""
        return straight_through(weight, self.scores, self.mask)


class ScoredMethod(Method):
    """Trains the model, and a score for every weight in the matrices of its blocks."""

    version = "2"
    config: Any

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Let everything but the embeddings train, and add the scores."""
        model: nn.Module = backbone.model.requires_grad_(requires_grad=True)
        if not self.config.train_embeddings:
            freeze_embeddings(model, backbone.anatomy)
        matrices = backbone.anatomy.matrices()
        attach(model, {matrix: ScoredWeight(matrix.weight(model)) for matrix in matrices})
        return model

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Give the scores a learning rate of their own, and no weight decay."""
        scores = [change.scores for _, change in attached(model, ScoredWeight)]
        taken = {id(score) for score in scores}
        groups = [
            {**group, "params": [p for p in group["params"] if id(p) not in taken]}
            for group in super().parameter_groups(model)
        ]
        rate = self.config.score_learning_rate
        return [*groups, {"params": scores, "lr": rate, "weight_decay": 0.0}]


def freeze_embeddings(model: nn.Module, anatomy: Anatomy) -> None:
    """Freeze the embeddings before the blocks, as the authors do.

    BERT and RoBERTa have a module for them, with a LayerNorm, which is frozen as a whole. GPT-2 and
    T5 have tables beside the blocks.
    """
    blocks = [f"{block.path}." for block in anatomy.blocks]
    for path, module in list(model.named_modules()):
        if isinstance(module, nn.Embedding) and not path.startswith(tuple(blocks)):
            parent = path.rpartition(".")[0]
            beside_blocks = not parent or any(block.startswith(f"{parent}.") for block in blocks)
            frozen = module if beside_blocks else model.get_submodule(parent)
            frozen.requires_grad_(requires_grad=False)


class MovementConfig(ScoredConfig, ScheduleConfig):
    """Settings of ``movement``."""

    scope: Scope = Scope.PER_MATRIX
    """Whether scores compete within each matrix or across all."""


class Movement(ScoredMethod, ScheduledSparsity):
    """Trains the weights, and a score for each weight in the matrices of the blocks.

    A score accumulates how far training moves its weight away from zero. The weights with the
    lowest scores are pruned, on a cubic schedule, and may come back. No distillation: ``distill``
    adds it.

    Needs a long run: below about 1,000 steps the mask is mostly chance, and the model collapses.
    """

    Config = MovementConfig
    paper = "arXiv:2005.07683"
    config: MovementConfig

    @property
    def scope(self) -> Scope:
        """Between which matrices scores compete."""
        return self.config.scope
