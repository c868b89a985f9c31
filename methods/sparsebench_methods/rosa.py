"""RoSA: an update of low rank, and one of few weights that the gradient chooses."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from pydantic import Field

from sparsebench import Backbone, Method, MethodConfig, Role, Stage, TrainingData
from sparsebench.sparsity import Scope
from sparsebench.sparsity.branches import LowRank, attach_branches, branches, fold_branches
from sparsebench.sparsity.sparse_update import LowRankAndSparse
from sparsebench_methods.gradient_scores import GradientScore, gradient_scores
from sparsebench_methods.sparse_mask import sparse_updates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from sparsebench.models import Matrix


class RoSAConfig(MethodConfig):
    """Settings of ``rosa``."""

    learning_rate: float = Field(default=5e-4, gt=0)
    """Peak learning rate."""

    rank: int = Field(default=8, ge=1)
    """Rank of the update of every chosen matrix."""

    alpha: float = Field(default=16.0, gt=0)
    """The update of low rank is scaled by ``alpha / rank``."""

    dropout: float = Field(default=0.0, ge=0, lt=1)
    """The share of inputs that the update of low rank does not see in training."""

    density: float = Field(default=0.003, gt=0, le=1)
    """The share of the weights of the chosen matrices that get an update of their own."""

    score: GradientScore = GradientScore.FISHER
    """What these weights are chosen by."""

    examples: int = Field(default=32, ge=1)
    """Training examples that the gradients are computed on; they cost steps of the budget."""

    scope: Scope = Scope.PER_MATRIX
    """Whether weights compete within each matrix or across all."""

    warmup_share: float = Field(default=0.1, ge=0, lt=1)
    """The share of the budget in which the update of low rank trains before the others are
    chosen."""

    targets: tuple[Role, ...] = Field(default=tuple(Role), min_length=1)
    """The matrices to adapt, by role."""


class RoSA(Method):
    """Trains an update of low rank and a sparse one together, ``W + alpha / rank * B A + S``.

    First the update of low rank trains alone. Then the weights with the highest scores of gradients
    at that point get an update of their own, stored as values and positions, and both train. The
    task head trains throughout; all else is frozen. Both updates are added to the weights on
    deploy.

    GPT-2's query, key and value have an update each, though one module holds all three.
    """

    Config = RoSAConfig
    paper = "arXiv:2401.04679"
    config: RoSAConfig

    def stages(self) -> Sequence[Stage]:
        """Return the stages before and after the weights are chosen."""
        share = self.config.warmup_share
        stages = (Stage("low_rank", share), Stage("joint", 1 - share))
        return [stage for stage in stages if stage.share > 0]

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Freeze everything but the task head, and attach the updates of low rank."""
        backbone.freeze()
        model: nn.Module = backbone.model
        generator = torch.Generator().manual_seed(torch.initial_seed())
        updates = {
            matrix: LowRankAndSparse(self._low_rank(matrix, model, generator), None)
            for matrix in backbone.anatomy.matrices(*self.config.targets)
        }
        attach_branches(model, updates)
        return model

    def _low_rank(self, matrix: Matrix, model: nn.Module, generator: torch.Generator) -> LowRank:
        config, (rows, columns) = self.config, matrix.weight(model).shape
        return LowRank(
            (rows, columns),
            rank=config.rank,
            scale=config.alpha / config.rank,
            std=1 / math.sqrt(3 * columns),  # that of a linear layer's default
            generator=generator,
            dropout=config.dropout,
        )

    def begin_stage(self, model: nn.Module, stage: Stage, data: TrainingData) -> None:
        """Before the second stage choose the weights of the sparse updates, and attach these."""
        if stage.name != "joint":
            return
        config = self.config
        updates = branches(model, LowRankAndSparse)
        scores = gradient_scores(
            model, list(updates), data, examples=config.examples, score=config.score
        )
        sparse = sparse_updates(scores, share=config.density, scope=config.scope)
        for matrix, update in sparse.items():
            updates[matrix].sparse = update.to(matrix.weight(model).device)

    def deploy(self, model: nn.Module) -> nn.Module:
        """Add both updates to the weights."""
        fold_branches(model)
        return model
