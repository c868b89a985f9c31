"""BitFit: training the biases and the task head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from sparsebench import Backbone, Family, Form, Method, MethodConfig

if TYPE_CHECKING:
    from torch import nn


class BitFitConfig(MethodConfig):
    """Settings of ``bitfit``."""

    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak learning rate: high, as few values train."""


class BitFit(Method):
    """Trains every bias, those of the normalisation included, and the task head (BitFit)."""

    Config = BitFitConfig
    paper = "arXiv:2106.10199"

    def refuses(self, family: Family, form: Form) -> str | None:  # noqa: ARG002
        """Refuse T5, which has no bias."""
        return (
            "T5 has no biases to train; peft with tuner: ln_tuning trains its normalisation"
            if family == Family.T5
            else None
        )

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Freeze everything but the biases and the head."""
        model: nn.Module = backbone.model
        backbone.freeze()
        for name, parameter in model.named_parameters():
            if name.endswith(".bias"):
                parameter.requires_grad = True
        return model
