"""A method that keeps the contract and makes every claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import Field

from sparsebench import Method, MethodConfig
from sparsebench.sparsity import Masked, Schedule, attach, has_sparsity, prune, remask

if TYPE_CHECKING:
    from torch import nn

    from sparsebench import Backbone


class SoundConfig(MethodConfig):
    """Settings of ``Sound``."""

    sparsity: float = Field(default=0.5, ge=0, lt=1)
    """Share of the weights of the blocks that is pruned in the end."""


class Sound(Method):
    """Prunes frozen weights by magnitude, and trains the normalisation and the head."""

    Config = SoundConfig

    @property
    def target_sparsity(self) -> float:
        return float(self.config.sparsity)

    @property
    def schedule(self) -> Schedule:
        return Schedule(0.0, self.config.sparsity, 0.1, 0.8)

    def prepare(self, backbone: Backbone) -> nn.Module:
        model: nn.Module = backbone.model
        backbone.freeze()
        for name, parameter in model.named_parameters():
            if "norm" in name.lower() or ".ln_" in name:
                parameter.requires_grad = True
        matrices = backbone.anatomy.matrices()
        attach(model, {matrix: Masked(matrix.weight(model)) for matrix in matrices})
        return model

    def before_step(self, model: nn.Module, progress: float) -> None:
        remask(model, sparsity=self.schedule.at(progress))

    def is_final(self, progress: float) -> bool:
        return self.schedule.is_final(progress)

    def penalty(self, model: nn.Module) -> torch.Tensor | None:
        trained = [p.square().sum() for p in model.parameters() if p.requires_grad]
        return 1e-3 * torch.stack(trained).sum()

    def deploy(self, model: nn.Module) -> nn.Module:
        if not has_sparsity(model, self.config.sparsity):
            remask(model, sparsity=self.config.sparsity)
        prune(model)
        return model
