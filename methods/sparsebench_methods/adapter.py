"""Bottleneck adapters behind attention and feed-forward networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from sparsebench import Backbone, Method, MethodConfig, Role
from sparsebench.models import insert_bottlenecks

if TYPE_CHECKING:
    from torch import nn


class AdapterConfig(MethodConfig):
    """Settings of ``adapter``."""

    learning_rate: float = Field(default=3e-4, gt=0)
    """Peak learning rate."""

    reduction: int = Field(default=16, ge=1)
    """The width of the model divided by the width of the bottleneck."""

    places: tuple[Literal["output", "ffn_out"], ...] = Field(
        default=("output", "ffn_out"), min_length=1
    )
    """The matrices that an adapter follows: the ``output`` of attention, ``ffn_out``, or both."""


class Adapter(Method):
    """Bottleneck adapters: a narrow network with ReLU behind each sub-layer, added to its output.

    Adapters and the task head train; adapters start as the identity. The paper also trains the
    norms; here they stay frozen, as in most later work.

    An adapter cannot be merged: the deployed model keeps it, and its cost.
    """

    Config = AdapterConfig
    paper: ClassVar[str | None] = "arXiv:1902.00751"
    config: AdapterConfig

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Freeze everything but the head, and insert an adapter behind each of the matrices."""
        backbone.freeze()
        model: nn.Module = backbone.model
        widths = {
            matrix.path: max(1, matrix.weight(model).shape[0] // self.config.reduction)
            for matrix in backbone.anatomy.matrices(*map(Role, self.config.places))
        }
        insert_bottlenecks(model, widths)
        return model
