"""DSEE: a low-rank plus sparse update of a weight, and pruning of the weight itself."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pydantic import Field

from sparsebench import Backbone, Method, MethodConfig, Stage, TrainingData
from sparsebench.sparsity.branches import LowRank, attach_branches, fold_branches
from sparsebench.sparsity.pruning import rounding_remark
from sparsebench.sparsity.sparse_update import LowRankAndSparse, SparseUpdate
from sparsebench_methods.dsee.pruning import (
    Score,
    add_coefficients,
    coefficients,
    fold_coefficients,
    prune_parts,
    prune_weights,
)
from sparsebench_methods.dsee.update import Support, positions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from sparsebench.models import Attention, Matrix

_STD = 0.02
"""Standard deviation of A at first."""


class Prune(StrEnum):
    """The weights or parts that are pruned between the stages."""

    UNSTRUCTURED = "unstructured"
    """Single weights: zeros in dense matrices."""

    STRUCTURED = "structured"
    """Attention heads and FFN neurons, physically removed."""


class DSEEConfig(MethodConfig):
    """Settings of ``dsee``; the defaults are those of the published RTE run."""

    learning_rate: float = Field(default=5e-4, gt=0)
    """Peak learning rate of either stage."""

    rank: int = Field(default=16, ge=1)
    """Rank r of the update."""

    alpha: float = Field(default=32.0, gt=0)
    """The update is multiplied by ``alpha / rank``."""

    entries: int = Field(default=16, ge=0)
    """N: free values of the sparse part of the update, in each adapted matrix."""

    support: Support = Support.GREBSMO
    """How their positions are chosen."""

    prune: Prune = Prune.UNSTRUCTURED
    """What is pruned."""

    sparsity: float = Field(default=0.2, ge=0, lt=1)
    """Unstructured: the share of the weights to prune, in each of the two pools."""

    score: Score = Score.UPDATE
    """Unstructured: the score that ranks the weights of the adapted matrices."""

    head_share: float = Field(default=0.25, ge=0, lt=1)
    """Structured: the share of the heads of every attention to remove, rounded to whole heads."""

    neuron_share: float = Field(default=0.4, ge=0, lt=1)
    """Structured: the share of all FFN neurons to remove, rounded."""

    l1: float = Field(default=1e-4, ge=0)
    """Structured: weight of the sum of the absolute coefficients in the loss."""

    tune_share: float = Field(default=1 / 3, gt=0, lt=1)
    """The share of the budget before pruning; the rest re-tunes the update."""


class DSEE(Method):
    """Dually sparsity-embedded efficient tuning: a sparse update of a sparse weight.

    Query and value get an update of low rank plus a few free values; only the update and the task
    head train. After the first stage the frozen weights are pruned, and the update is tuned again.
    """

    Config = DSEEConfig
    paper: ClassVar[str | None] = "arXiv:2111.00160"
    profile_settings: ClassVar[Mapping[str, Any]] = {"support": Support.RANDOM.value}
    config: DSEEConfig
    _remarks: tuple[str, ...] = ()

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Attach an update to every query and value; if structured, coefficients to all units."""
        backbone.freeze()
        model: nn.Module = backbone.model
        generator = torch.Generator().manual_seed(torch.initial_seed())
        updates: dict[Matrix, LowRankAndSparse] = {}
        for block in backbone.anatomy.blocks:
            for attention in block.attentions:
                for matrix in (attention.query, attention.value):
                    updates[matrix] = self._update(model, matrix, attention, generator)
        attach_branches(model, updates)
        if self.config.prune is Prune.STRUCTURED:
            add_coefficients(model, backbone.anatomy)
        return model

    def _update(
        self, model: nn.Module, matrix: Matrix, attention: Attention, generator: torch.Generator
    ) -> LowRankAndSparse:
        config, weight = self.config, matrix.weight(model)
        shape, scale = (weight.shape[0], weight.shape[1]), config.alpha / config.rank
        low = LowRank(shape, rank=config.rank, scale=scale, std=_STD, generator=generator)
        if config.support is Support.NONE or not config.entries:
            return LowRankAndSparse(low, None)
        places = positions(
            weight,
            config.support,
            entries=config.entries,
            groups=attention.heads if config.prune is Prune.STRUCTURED else 1,
            generator=generator,
        )
        sparse = SparseUpdate(places, shape=shape, entries=config.entries, scale=scale)
        return LowRankAndSparse(low, sparse)

    def stages(self) -> tuple[Stage, Stage]:
        """Return the two stages, which share one budget."""
        share = self.config.tune_share
        return Stage("tune", share), Stage("retune", 1 - share)

    def begin_stage(self, model: nn.Module, stage: Stage, data: TrainingData) -> None:  # noqa: ARG002
        """Prune before the second stage."""
        if stage.name == "tune":
            return
        config = self.config
        if config.prune is Prune.STRUCTURED:
            removed = prune_parts(
                model, head_share=config.head_share, neuron_share=config.neuron_share
            )
            shares = {"heads": config.head_share, "neurons": config.neuron_share}
            remarks = [
                rounding_remark(kind, share, removed=removed[kind][0], total=removed[kind][1])
                for kind, share in shares.items()
            ]
            self._remarks = tuple(remark for remark in remarks if remark)
        else:
            prune_weights(model, sparsity=config.sparsity, score=config.score)

    def penalty(self, model: nn.Module) -> torch.Tensor | None:
        """Return the weighted l1 norm of all coefficients; None if there are none."""
        learned = coefficients(model).values()
        if not learned or not self.config.l1:
            return None
        return self.config.l1 * torch.stack([c.abs().sum() for c in learned]).sum()

    def deploy(self, model: nn.Module) -> nn.Module:
        """Fold updates and coefficients into the weights.

        The update is not masked, so merged query and value matrices are dense. ``frozen_sparsity``
        of the training view is the sparsity of the pretrained weights alone.
        """
        fold_coefficients(model)
        fold_branches(model)
        return model

    def remarks(self) -> tuple[str, ...]:
        """Return how structured pruning has rounded the shares."""
        return self._remarks

    @staticmethod
    def frozen_sparsity(model: nn.Module) -> float:
        """Return the share of zeros in the block matrices of a training view, without updates."""
        from sparsebench.models import anatomy_of

        weights = [matrix.weight(model) for matrix in anatomy_of(model).matrices()]
        zeros = sum(int((weight == 0).sum()) for weight in weights)
        return zeros / sum(weight.numel() for weight in weights)
