"""LoRA with the field's defaults."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from sparsebench import Backbone, Family, MethodConfig, Role
from sparsebench_methods import peft_tuners
from sparsebench_methods.peft import PEFT


class LoRAConfig(MethodConfig):
    """Settings of ``lora``."""

    learning_rate: float = Field(default=5e-4, gt=0)
    """Peak learning rate: the order of magnitude of the paper on GLUE."""

    r: int = Field(default=8, ge=1)
    """The rank of every update."""

    alpha: float = Field(default=16.0, gt=0)
    """The update is scaled by ``alpha / r``."""

    dropout: float = Field(default=0.1, ge=0, lt=1)
    """The share of inputs that the update does not see in training."""

    targets: tuple[Role, ...] = Field(default=(Role.QUERY, Role.VALUE), min_length=1)
    """The matrices to adapt, by role; see the method for GPT-2."""

    rank_stabilised: bool = False
    """Scale by ``alpha / sqrt(r)`` instead (arXiv:2312.03732)."""


class LoRA(PEFT):
    """Low-rank updates of the query and value matrices, merged on deploy (LoRA, PEFT's own).

    The targets are those of the paper; rank, alpha and dropout are those that most later work
    compares with.

    GPT-2 has query, key and value in one matrix. As in most of the field, the update is of that
    matrix as a whole, so each of the three roles means all of them. The paper adapts the rows of
    query and of value separately; both train 32 * width values a block at the defaults.
    """

    Config = LoRAConfig
    paper = "arXiv:2106.09685"

    @property
    def tuner(self) -> str:
        """PEFT's ``lora``."""
        return "lora"

    @property
    def _settings(self) -> dict[str, Any]:
        return {}

    def settings(self, backbone: Backbone) -> dict[str, Any]:
        """Return the arguments of PEFT's configuration."""
        return {
            "r": self.config.r,
            "lora_alpha": self.config.alpha,
            "lora_dropout": self.config.dropout,
            "use_rslora": self.config.rank_stabilised,
            "target_modules": peft_tuners.paths(backbone, *self.config.targets),
            "fan_in_fan_out": backbone.family == Family.GPT2,
        }
