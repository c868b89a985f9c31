"""LoRA on a fixed magnitude mask: the baseline for methods with a learned mask."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import nn

from sparsebench import Method
from sparsebench.sparsity import Masked, Pattern, attach, prune, remask, rounding_remarks
from sparsebench_methods.scheduled import ScopedPatternConfig

if TYPE_CHECKING:
    from torch import Tensor

    from sparsebench import Backbone


class LoRAMagnitudeConfig(ScopedPatternConfig):
    """Settings of ``lora_magnitude``."""

    learning_rate: float = Field(default=5e-4, gt=0)
    """Peak learning rate."""

    rank: int = Field(default=8, ge=1)
    """Rank of the update of every matrix of the blocks."""

    alpha: float = Field(default=16.0, gt=0)
    """The update is scaled by ``alpha / rank``."""


class LoRAMagnitude(Method):
    """Zeroes the smallest pretrained weights, and trains a low-rank update under the same mask.

    The mask M is chosen once, before training, and the update is masked too:
    ``M * (W0 + alpha / rank * B A)``. An update outside the mask would make the merged weight
    dense. This is PST with a mask that is not learned. The task head trains as well.
    """

    Config = LoRAMagnitudeConfig
    config: LoRAMagnitudeConfig
    _remarks: tuple[str, ...] = ()

    @property
    def starts_pretrained(self) -> bool:
        """Whether nothing is pruned: the masks are there from the start."""
        return self.config.sparsity == 0

    @property
    def target_sparsity(self) -> float | None:
        """The sparsity in the settings; None with the structured pattern, which leaves no zeros."""
        return None if self.config.pattern is Pattern.STRUCTURED else self.config.sparsity

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Freeze everything but the head, choose the masks and add the updates."""
        model: nn.Module = backbone.model
        config = self.config
        backbone.freeze()
        scale = config.alpha / config.rank
        attach(
            model,
            {
                matrix: MaskedLoRA(matrix.weight(model), rank=config.rank, scale=scale)
                for matrix in backbone.anatomy.matrices()
            },
        )
        remask(model, sparsity=config.sparsity, scope=config.scope, pattern=config.pattern)
        return model

    def deploy(self, model: nn.Module) -> nn.Module:
        """Merge the masked updates into the masked weights."""
        config = self.config
        if config.pattern is Pattern.STRUCTURED:
            self._remarks = rounding_remarks(model, config.sparsity, scope=config.scope)
        prune(model, pattern=config.pattern)
        return model

    def remarks(self) -> tuple[str, ...]:
        """Return how the structured pattern has rounded the sparsity."""
        return self._remarks


class MaskedLoRA(Masked):
    """The map ``W0 -> M * (W0 + scale * B A)``, equal to ``M * W0`` at the start.

    Args:
        weight: The frozen weight W0 ``[out, in]``.
        rank: Rows of A, columns of B.
        scale: Scale of the update.
    """

    def __init__(self, weight: Tensor, *, rank: int, scale: float) -> None:
        super().__init__(weight)
        rows, columns = weight.shape
        self.A = nn.Parameter(weight.detach().new_empty(rank, columns))
        self.B = nn.Parameter(weight.detach().new_zeros(rows, rank))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        self.scale = scale

    def forward(self, weight: Tensor) -> Tensor:
        """Return the masked and updated weight ``[out, in]``."""
        return torch.addmm(weight, self.B, self.A, alpha=self.scale) * self.mask
