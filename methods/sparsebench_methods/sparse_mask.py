"""Sparse fine-tuning under a fixed mask: a small share of the weights trains."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import torch
from pydantic import Field

from sparsebench import Backbone, Method, MethodConfig, Role, Stage, TrainingData
from sparsebench.models import anatomy_of
from sparsebench.sparsity import Scope, keep_highest
from sparsebench.sparsity.branches import attach_branches, fold_branches
from sparsebench.sparsity.sparse_update import SparseUpdate
from sparsebench_methods.gradient_scores import GradientScore, gradient_scores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from sparsebench.models import Matrix


class Score(StrEnum):
    """The score that chooses the weights that train: the highest ones do."""

    GRADIENT = GradientScore.GRADIENT.value
    """The size of the mean gradient."""

    SNIP = GradientScore.SNIP.value
    """The size of weight times mean gradient."""

    FISHER = GradientScore.FISHER.value
    """The mean squared gradient of single examples (FISH)."""

    MAGNITUDE = "magnitude"
    """The size of the weight; looks at no data."""

    RANDOM = "random"
    """Chance; looks at no data."""


class SparseMaskConfig(MethodConfig):
    """Settings of ``sparse_mask``."""

    learning_rate: float = Field(default=2e-3, gt=0)
    """Peak learning rate."""

    share: float = Field(default=0.005, gt=0, le=1)
    """The share of the weights of the chosen matrices that trains."""

    score: Score = Score.GRADIENT
    """What the weights are chosen by."""

    examples: int = Field(default=256, ge=1)
    """Training examples that scores of gradients look at; they cost steps of the budget."""

    scope: Scope = Scope.PER_MATRIX
    """Whether weights compete within each matrix or across all."""

    targets: tuple[Role, ...] = Field(default=tuple(Role), min_length=1)
    """The matrices that weights are chosen from, by role."""


class SparseMask(Method):
    """Trains a fixed small share of the weights of the blocks, and the task head.

    Before training, every weight gets a score from the gradients of some examples (or from its
    magnitude, or at random). Those with the highest scores get an update, which is stored as values
    and positions; it is added to the weights on deploy. With ``score: fisher`` this is FISH; a
    comparison of scores for language models (SPEFT) found the plain gradient best.

    FISH squares the gradient of every example, for labels drawn from the model where the training
    labels are not used; here the labels are those of the data (its empirical Fisher). FISH chooses
    from all parameters, across the whole model: that is ``scope: global``, though here from the
    matrices of the blocks only. Biases, embeddings and normalisation stay frozen.
    """

    Config = SparseMaskConfig
    paper = "arXiv:2111.09839"
    config: SparseMaskConfig

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Freeze everything but the task head."""
        backbone.freeze()
        model: nn.Module = backbone.model
        return model

    def begin_stage(self, model: nn.Module, stage: Stage, data: TrainingData) -> None:  # noqa: ARG002
        """Choose the weights, and give them an update."""
        scores = self._scores(model, data)
        config = self.config
        attach_branches(model, sparse_updates(scores, share=config.share, scope=config.scope))

    def _scores(self, model: nn.Module, data: TrainingData) -> Mapping[Matrix, Tensor]:
        config = self.config
        matrices = list(anatomy_of(model).matrices(*config.targets))
        if config.score is Score.MAGNITUDE:
            return {matrix: matrix.weight(model).detach().abs() for matrix in matrices}
        if config.score is Score.RANDOM:
            generator = torch.Generator().manual_seed(torch.initial_seed())
            weights = {matrix: matrix.weight(model) for matrix in matrices}
            return {
                matrix: torch.rand(weight.shape, generator=generator).to(weight.device)
                for matrix, weight in weights.items()
            }
        score = GradientScore(config.score.value)
        return gradient_scores(model, matrices, data, examples=config.examples, score=score)

    def deploy(self, model: nn.Module) -> nn.Module:
        """Add the updates to the weights."""
        fold_branches(model)
        return model


def sparse_updates(
    scores: Mapping[Matrix, Tensor], *, share: float, scope: Scope
) -> dict[Matrix, SparseUpdate]:
    """Return an update, zero at first, of the weights with the highest scores.

    Args:
        scores: Scores ``[out, in]`` of every matrix.
        share: The share of the weights to update.
        scope: Between which matrices scores compete.

    Returns:
        The update of every matrix that has a chosen weight.
    """
    return {
        matrix: SparseUpdate(
            places,
            shape=(scores[matrix].shape[0], scores[matrix].shape[1]),
            entries=places.numel(),
            scale=1.0,
        )
        for matrix, places in chosen(scores, share=share, scope=scope).items()
        if places.numel()
    }


def chosen(
    scores: Mapping[Matrix, Tensor], *, share: float, scope: Scope = Scope.PER_MATRIX
) -> dict[Matrix, Tensor]:
    """Return the positions of the highest scores of each matrix, read row by row.

    Args:
        scores: Scores ``[out, in]`` of every matrix.
        share: The share to choose; every matrix has at least one if the scope is not global.
        scope: Between which matrices scores compete.
    """
    if scope is Scope.GLOBAL:
        masks = keep_highest(list(scores.values()), sparsity=1 - share, scope=scope)
        return {m: mask.flatten().nonzero()[:, 0] for m, mask in zip(scores, masks, strict=True)}
    return {
        matrix: score.flatten().topk(max(1, round(share * score.numel()))).indices.sort().values
        for matrix, score in scores.items()
    }
