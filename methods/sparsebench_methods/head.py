"""Training the task head alone: the lower reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from sparsebench import Backbone, Method, MethodConfig
from sparsebench.models import untie

if TYPE_CHECKING:
    from torch import nn


class HeadConfig(MethodConfig):
    """Settings of ``head``."""

    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak learning rate: high, as a head starts from random weights."""


class Head(Method):
    """Trains the task head and freezes the rest: a linear probe, the lower reference.

    A model that generates text has no task head. Its output projection trains instead, untied from
    the input embedding, which stays frozen; it counts as trainable.
    """

    Config = HeadConfig

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Freeze everything but the head."""
        model: nn.Module = backbone.model
        backbone.freeze()
        if not backbone.head:
            projection = backbone.model.get_output_embeddings()
            name = next(n for n, m in model.named_modules() if m is projection)
            untie(model, f"{name}.weight")
            projection.requires_grad_(requires_grad=True)
        return model
