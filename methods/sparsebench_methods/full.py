"""Full fine-tuning: the dense reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparsebench import Backbone, Method

if TYPE_CHECKING:
    from torch import nn


class Full(Method):
    """Trains every parameter. The dense reference that the other methods are held against."""

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Lets everything train."""
        model: nn.Module = backbone.model
        return model.requires_grad_(requires_grad=True)
