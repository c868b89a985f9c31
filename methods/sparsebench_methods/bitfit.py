"""BitFit: training the biases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from sparsebench import Backbone, Family, Form, Method, MethodConfig

if TYPE_CHECKING:
    from torch import nn


class BitFitConfig(MethodConfig):
    """Settings of ``bitfit``."""

    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak learning rate: few values train, and they stand a high one."""


class BitFit(Method):
    """Trains every bias, those of the normalisation included, and the task head (BitFit)."""

    Config = BitFitConfig
    paper = "arXiv:2106.10199"

    def refuses(self, family: Family, form: Form) -> str | None:  # noqa: ARG002
        """Refuses T5, which has no bias."""
        return "T5 has no biases to train" if family is Family.T5 else None

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Freezes all but the biases and the head."""
        model: nn.Module = backbone.model
        backbone.freeze()
        for name, parameter in model.named_parameters():
            if name.endswith(".bias"):
                parameter.requires_grad = True
        return model
