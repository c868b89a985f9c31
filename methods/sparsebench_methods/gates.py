"""Learned gates on feed-forward networks, by which whole ones are dropped."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import torch
from torch import nn

from sparsebench import UserError
from sparsebench.models import Adapted, ModuleWrapper, anatomy_of
from sparsebench.sparsity.removal import remove_ffn

if TYPE_CHECKING:
    from torch import Tensor

    from sparsebench import Anatomy


class Drop(StrEnum):
    """Which networks are dropped, once it is clear how many."""

    GATE = "gate"
    """Those with the lowest gates."""

    RANDOM = "random"
    """Any: a baseline."""

    OUTPUT_NORM = "output_norm"
    """Those whose outputs were smallest in training, on average over tokens: a baseline."""


class Gated(ModuleWrapper):
    """The last matrix of a feed-forward network, its outputs multiplied by a gate.

    In evaluation a network that is to be dropped says nothing, as if it were gone already.

    Args:
        inner: The module that holds the matrix.
        block: The path of the block.
        ticket: A random number, the network's place where the drop is at random.
        weigh: Whether to keep account of the size of the outputs.

    Attributes:
        gate: A parameter without dimensions, in [0, 1]; 1 at first.
        importance: A parameter without dimensions; a softmax over those of a stack weights the
            densities of its layers.
        stays: Whether the network is to stay, a buffer.
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
        """Returns what the outputs of the finished network are multiplied by."""
        return self.gate.clamp(0, 1) * self.stays

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns the gated outputs."""
        outputs: Tensor = self.inner(inputs)
        if not self.training:
            return outputs * self.factor().to(outputs.dtype)
        if self.weigh:
            self._weigh(outputs.detach())
        return outputs * self.gate.to(outputs.dtype)

    def _weigh(self, outputs: Tensor) -> None:
        """Moves the mean norm of a token's output on."""
        self.passes += 1
        self.norm += (outputs.float().norm(dim=-1).mean() - self.norm) / self.passes


def attach(model: nn.Module, anatomy: Anatomy, *, weigh: bool, generator: torch.Generator) -> None:
    """Gives every feed-forward network of a model a gate, in place."""
    for block in anatomy.blocks:
        if block.ffn is not None:
            path = block.ffn.down.path
            ticket = torch.rand((), generator=generator)
            inner = model.get_submodule(path)
            gated = Gated(inner, block=block.path, ticket=ticket, weigh=weigh)
            model.set_submodule(path, gated.to(block.ffn.down.weight(model).device))


def gates(model: nn.Module) -> dict[str, Gated]:
    """Returns the gates of a model, by the path of their block."""
    return {module.block: module for module in model.modules() if isinstance(module, Gated)}


@torch.no_grad()
def settle(model: nn.Module, *, drop: Drop, tau: float, most: int, blocks: int | None) -> None:
    """Puts every gate back into [0, 1] and decides which networks are to stay.

    Args:
        model: The training view.
        drop: Which networks go.
        tau: As many go as there are gates under it,
        most: but no more than this,
        blocks: or just so many, where it is given.
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


def take_off(model: nn.Module) -> dict[str, float | None]:
    """Takes all gates off a model, in place.

    Returns:
        What each network was multiplied by, by its block; None for one that is to be dropped.
    """
    factors: dict[str, float | None] = {}
    found = [(path, m) for path, m in model.named_modules() if isinstance(m, Gated)]
    for path, module in found:
        factors[module.block] = module.factor().item() if module.stays else None
        model.set_submodule(path, module.inner)
    return factors


@torch.no_grad()
def fold(model: nn.Module, factors: dict[str, float | None]) -> None:
    """Drops networks for good, and multiplies the gates of the others into their weights.

    Args:
        model: A plain transformers model.
        factors: What ``take_off`` returned.

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
        module = block.ffn.down.module(model)
        if hasattr(module, "base_layer"):
            raise UserError(
                f"the adapter on {block.ffn.down.path} cannot be merged, and so no gate be folded"
            )
        block.ffn.down.weight(model).mul_(factor)
        if (bias := block.ffn.down.bias(model)) is not None:
            bias.mul_(factor)
        if isinstance(module, Adapted):
            module.multiply_outputs(factor)
