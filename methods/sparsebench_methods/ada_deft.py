"""ADA-DEFT: DEFT that also learns which feed-forward networks to drop. A reconstruction."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pydantic import Field, model_validator
from torch import nn

from sparsebench import Backbone, Method, MethodConfig, UserError
from sparsebench.method_registry import METHODS
from sparsebench.models import Adapted, ModuleWrapper, anatomy_of, unwrap
from sparsebench.sparsity.removal import remove_ffn
from sparsebench_methods.deft import DEFT, DEFTConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from sparsebench import Anatomy


class Drop(StrEnum):
    """Which FFNs are dropped, for a given number of them."""

    GATE = "gate"
    """Those with the lowest gates."""

    RANDOM = "random"
    """Random ones: a baseline."""

    OUTPUT_NORM = "output_norm"
    """Those with the smallest outputs in training, on average over tokens: a baseline."""


class ADADEFTConfig(DEFTConfig):
    """Settings of ``ada_deft``: those of ``deft``, and those of the gates."""

    tau: float = Field(default=0.1, ge=0, le=1)
    """FFNs whose gate is below this are dropped."""

    max_share: float = Field(default=1 / 3, ge=0, le=1)
    """At most this share of the FFNs is dropped, those with the lowest gates."""

    gate_weight: float = Field(default=0.03, ge=0)
    """Weight of the mean gate in the loss."""

    gate_learning_rate: float = Field(default=5e-3, gt=0)
    """Peak learning rate of gates and layer weights."""

    drop: Drop = Drop.GATE
    """Which FFNs are dropped."""

    blocks: int | None = Field(default=None, ge=0)
    """The number of FFNs to drop; by default ``tau`` and ``max_share`` decide."""

    @model_validator(mode="after")
    def _gates_need_a_place_in_the_optimizer(self) -> ADADEFTConfig:
        if METHODS.get(self.wraps).optimizer is not Method.optimizer:
            raise ValueError(
                f"wraps: {self.wraps!r} brings an optimizer of its own, in which the gates have no "
                "learning rate; name another method, or use deft"
            )
        return self


class ADADEFT(DEFT):
    """DEFT with learned layer weights, and whole feed-forward networks dropped.

    A reconstruction: the paper says that blocks are skipped by learned adaptive layer-wise weights,
    and no code of it is public. Here every feed-forward network has a gate in [0, 1] on its
    addition to the residual stream, with a penalty on the mean gate. A softmax of learned weights
    weighs the density of each layer in its stack. At the end, networks with a low gate are removed,
    and the other gates are multiplied into the weights.
    """

    Config: ClassVar[type[MethodConfig]] = ADADEFTConfig

    @property
    def learns_sparsity(self) -> bool:
        """Whether the gates decide how many networks are dropped."""
        return self.config.blocks is None

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Prepare DEFT, and give every FFN a gate."""
        anatomy = backbone.anatomy
        model = super().prepare(backbone)
        add_gates(
            backbone.model,
            anatomy,
            weigh=self.config.drop is Drop.OUTPUT_NORM,
            generator=torch.Generator().manual_seed(torch.initial_seed()),
        )
        return model

    def before_step(self, model: nn.Module, progress: float) -> None:
        """Clamp gates to [0, 1], and choose again which networks are to be dropped."""
        super().before_step(model, progress)
        config = self.config
        most = int(config.max_share * len(gates(model)))
        choose(model, drop=config.drop, tau=config.tau, most=most, blocks=config.blocks)

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Return the groups of the wrapped method, and one of gates and layer weights."""
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
        """Return DEFT's penalty, with learned layer weights, plus that on the mean gate."""
        values = torch.stack([g.gate for g in gates(model).values()])
        density = super().penalty(model)
        return density.add(values.mean(), alpha=self.config.gate_weight)

    def layer_weights(self, model: nn.Module, layers: Sequence[str]) -> Tensor:
        """Return the softmax of the learned weights of a stack's layers."""
        found = gates(model)
        return torch.softmax(torch.stack([found[path].importance for path in layers]), dim=0)

    def deploy(self, model: nn.Module) -> nn.Module:
        """Deploy as DEFT does; drop networks, and fold the gates of the others."""
        factors = remove_gates(model)
        deployed: Any = super().deploy(model)
        plain = deployed.get_base_model() if hasattr(deployed, "get_base_model") else deployed
        drop_networks(plain, factors)
        return deployed  # type: ignore[no-any-return]


class Gated(ModuleWrapper):
    """The last matrix of an FFN, its outputs multiplied by a gate.

    In evaluation, the output of an FFN that is to be dropped is zero, as if it were removed.

    Args:
        inner: The module that holds the matrix.
        block: The path of the block.
        ticket: A random number, the rank of the FFN in a random drop.
        weigh: Whether to average the norm of the outputs.

    Attributes:
        gate: A parameter without dimensions, in [0, 1]; 1 at first.
        importance: A parameter without dimensions; a softmax over those of a stack weighs the
            densities of its layers.
        stays: Whether the FFN is to stay, a buffer.
    """

    stays: Tensor
    ticket: Tensor
    norm: Tensor
    passes: Tensor

    def __init__(self, inner: nn.Module, *, block: str, ticket: Tensor, weigh: bool) -> None:
        super().__init__(inner)
        self.block = block
        self.weigh = weigh
        self.gate = nn.Parameter(torch.ones(()))
        self.importance = nn.Parameter(torch.zeros(()))
        self.register_buffer("stays", torch.tensor(True))  # noqa: FBT003
        self.register_buffer("ticket", ticket)
        self.register_buffer("norm", torch.zeros(()))
        self.register_buffer("passes", torch.zeros(()))

    def factor(self) -> Tensor:
        """Return the factor of the outputs in the deployed model."""
        return self.gate.clamp(0, 1) * self.stays

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the gated outputs."""
        outputs: Tensor = self.inner(inputs)
        if not self.training:
            return outputs * self.factor().to(outputs.dtype)
        if self.weigh:
            self._weigh(outputs.detach())
        return outputs * self.gate.to(outputs.dtype)

    def _weigh(self, outputs: Tensor) -> None:
        """Update the mean norm of a token's output."""
        self.passes += 1
        self.norm += (outputs.float().norm(dim=-1).mean() - self.norm) / self.passes


def add_gates(
    model: nn.Module, anatomy: Anatomy, *, weigh: bool, generator: torch.Generator
) -> None:
    """Give every FFN of a model a gate, in place."""
    for block in anatomy.blocks:
        if block.ffn is not None:
            path = block.ffn.down.path
            ticket = torch.rand((), generator=generator)
            inner = model.get_submodule(path)
            gated = Gated(inner, block=block.path, ticket=ticket, weigh=weigh)
            model.set_submodule(path, gated.to(block.ffn.down.weight(model).device))


def gates(model: nn.Module) -> dict[str, Gated]:
    """Return the gates of a model, by the path of their block."""
    return {module.block: module for module in model.modules() if isinstance(module, Gated)}


@torch.no_grad()
def choose(model: nn.Module, *, drop: Drop, tau: float, most: int, blocks: int | None) -> None:
    """Clamp every gate to [0, 1], and choose which FFNs are to stay.

    Args:
        model: The training view.
        drop: Which FFNs to drop.
        tau: The number to drop is that of the gates below ``tau``,
        most: but at most this number,
        blocks: or exactly this number, if it is given.
    """
    found = list(gates(model).values())
    for module in found:
        module.gate.clamp_(0, 1)
    values = torch.stack([module.gate for module in found])
    count = (values < tau).sum().clamp(max=most) if blocks is None else blocks
    ranks = {
        Drop.GATE: values,
        Drop.RANDOM: torch.stack([module.ticket for module in found]),
        Drop.OUTPUT_NORM: torch.stack([module.norm for module in found]),
    }[drop]
    places = ranks.argsort(stable=True).argsort(stable=True)
    for module, place in zip(found, places, strict=True):
        module.stays.copy_(place >= count)


def remove_gates(model: nn.Module) -> dict[str, float | None]:
    """Take all gates off a model, in place.

    Returns:
        The factor of each FFN, by its block; None for an FFN that is to be dropped.
    """
    return {
        gated.block: gated.factor().item() if gated.stays else None
        for gated in unwrap(model, Gated)
    }


@torch.no_grad()
def drop_networks(model: nn.Module, factors: dict[str, float | None]) -> None:
    """Remove FFNs, and multiply the factors of the others into their weights.

    Args:
        model: A plain transformers model.
        factors: The value of ``remove_gates``.

    Raises:
        UserError: A matrix is not plain, since an adapter on it could not be merged.
    """
    for block in anatomy_of(model).blocks:
        if block.ffn is None:
            continue
        factor = factors[block.path]
        if factor is None:
            remove_ffn(model, block)
            continue
        down = block.ffn.down
        module = down.module(model)
        if hasattr(module, "base_layer"):
            raise UserError(
                f"the adapter on {down.path} cannot be merged, so the gate cannot be folded"
            )
        down.weight(model).mul_(factor)
        if (bias := down.bias(model)) is not None:
            bias.mul_(factor)
        if isinstance(module, Adapted):
            module.multiply_outputs(factor)
