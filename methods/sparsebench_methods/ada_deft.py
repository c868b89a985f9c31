"""ADA-DEFT: DEFT that also learns which feed-forward networks to drop. A reconstruction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pydantic import Field

from sparsebench_methods.deft import DEFT, DEFTConfig
from sparsebench_methods.gates import Drop, attach, fold, gates, settle, take_off

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from sparsebench import Backbone, MethodConfig


class ADADEFTConfig(DEFTConfig):
    """Settings of ``ada_deft``: those of ``deft``, and what decides which networks are dropped."""

    tau: float = Field(default=0.1, ge=0, le=1)
    """Networks whose gate is under this are dropped."""

    max_share: float = Field(default=1 / 3, ge=0, le=1)
    """No more than this share of the networks is dropped, those with the lowest gates."""

    gate_weight: float = Field(default=0.03, ge=0)
    """Weight of the mean gate in the loss."""

    gate_learning_rate: float = Field(default=5e-3, gt=0)
    """Peak learning rate of gates and layer weights."""

    drop: Drop = Drop.GATE
    """Which networks are dropped."""

    blocks: int | None = Field(default=None, ge=0)
    """How many are dropped, whatever their gates; by default ``tau`` and ``max_share`` decide."""


class ADADEFT(DEFT):
    """DEFT with learned layer weights, whole feed-forward networks dropped for good.

    A reconstruction: the paper says that blocks are skipped by learned adaptive layer-wise weights,
    and no code of it is public. Here every feed-forward network has a gate in [0, 1] on what it
    adds to the residual stream, under a penalty on the mean gate; a softmax of learned weights says
    how much the density of each layer counts in its stack. In the end networks with a low gate are
    removed, and the other gates become part of the weights.
    """

    Config: ClassVar[type[MethodConfig]] = ADADEFTConfig

    @property
    def learns_sparsity(self) -> bool:
        """Whether the gates decide how many networks are dropped."""
        return self.config.blocks is None

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Prepares DEFT, and gives every feed-forward network a gate."""
        anatomy = backbone.anatomy
        model = super().prepare(backbone)
        attach(
            backbone.model,
            anatomy,
            weigh=self.config.drop is Drop.OUTPUT_NORM,
            generator=torch.Generator().manual_seed(torch.initial_seed()),
        )
        return model

    def before_step(self, model: nn.Module, progress: float) -> None:
        """Keeps gates in [0, 1], and decides anew which networks are to be dropped."""
        super().before_step(model, progress)
        config = self.config
        most = int(config.max_share * len(gates(model)))
        settle(model, drop=config.drop, tau=config.tau, most=most, blocks=config.blocks)

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Returns those of the wrapped method, and one of gates and layer weights."""
        own = [p for g in gates(model).values() for p in (g.gate, g.importance)]
        ids = {id(parameter) for parameter in own}
        groups = []
        for group in super().parameter_groups(model):
            params = [p for p in group["params"] if id(p) not in ids]
            if params:
                groups.append({**group, "params": params})
        rate = self.config.gate_learning_rate
        return [*groups, {"params": own, "lr": rate, "weight_decay": 0.0}]

    def penalty(self, model: nn.Module) -> Tensor:
        """Returns DEFT's penalty, with learned layer weights, and that on the mean gate."""
        values = torch.stack([g.gate for g in gates(model).values()])
        density = super().penalty(model)
        return density.add(values.mean(), alpha=self.config.gate_weight)

    def layer_weights(self, model: nn.Module, layers: Sequence[str]) -> Tensor:
        """Returns the softmax of the learned weights of a stack's layers."""
        found = gates(model)
        return torch.softmax(torch.stack([found[path].importance for path in layers]), dim=0)

    def deploy(self, model: nn.Module) -> nn.Module:
        """Deploys as DEFT does; drops networks and folds the gates of the others."""
        factors = take_off(model)
        shipped: Any = super().deploy(model)
        fold(shipped.get_base_model() if hasattr(shipped, "get_base_model") else shipped, factors)
        plain: nn.Module = shipped
        return plain
