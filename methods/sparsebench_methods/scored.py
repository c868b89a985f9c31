"""What movement pruning and soft movement pruning share: a learned score for every weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field
from torch import nn

from sparsebench import Method, MethodConfig
from sparsebench.sparsity import Masked, attach, attached, straight_through

if TYPE_CHECKING:
    from torch import Tensor

    from sparsebench import Backbone


class ScoredConfig(MethodConfig):
    """Settings of every method with a score for each weight."""

    learning_rate: float = Field(default=3e-5, gt=0)
    """Peak learning rate of the weights."""

    score_learning_rate: float = Field(default=1e-2, gt=0)
    """Peak learning rate of the scores."""

    train_embeddings: bool = False
    """Whether the embeddings train too; the authors freeze them."""


class ScoredWeight(Masked):
    """The map ``weight * mask`` with a learned score for each weight, 0 at first.

    Args:
        weight: The matrix ``[out, in]``.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__(weight)
        self.scores = nn.Parameter(weight.detach().new_zeros(weight.shape))

    def score(self, weight: Tensor) -> Tensor:  # noqa: ARG002 - the weight itself does not matter
        """Returns the learned scores ``[out, in]``."""
        return self.scores

    def forward(self, weight: Tensor) -> Tensor:
        """Returns the masked weight ``[out, in]``."""
        return straight_through(weight, self.scores, self.mask)


class Scored(Method):
    """Trains the model and a score for every weight in the matrices of its blocks."""

    config: Any

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Lets all but the embeddings train, and adds the scores."""
        model: nn.Module = backbone.model.requires_grad_(requires_grad=True)
        if not self.config.train_embeddings:
            blocks = tuple(f"{block.path}." for block in backbone.anatomy.blocks)
            for name, module in model.named_modules():
                if isinstance(module, nn.Embedding) and not name.startswith(blocks):
                    module.requires_grad_(requires_grad=False)
        matrices = backbone.anatomy.matrices()
        attach(model, {matrix: ScoredWeight(matrix.weight(model)) for matrix in matrices})
        return model

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Gives the scores a learning rate of their own, and no weight decay."""
        scores = [change.scores for _, change in attached(model, ScoredWeight)]
        taken = {id(score) for score in scores}
        groups = [
            {**group, "params": [p for p in group["params"] if id(p) not in taken]}
            for group in super().parameter_groups(model)
        ]
        rate = self.config.score_learning_rate
        return [*groups, {"params": scores, "lr": rate, "weight_decay": 0.0}]
