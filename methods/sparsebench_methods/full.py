"""Full fine-tuning: the dense reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparsebench import Backbone, Method

if TYPE_CHECKING:
    from torch import nn


class Full(Method):
    """Trains every parameter: the dense reference for the other methods."""

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Let everything train."""
        model: nn.Module = backbone.model
        return model.requires_grad_(requires_grad=True)
