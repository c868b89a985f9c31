"""Modules that wrap a module of a model: the base class, and bottleneck adapters.

A bottleneck adapter (Houlsby et al., arXiv:1902.00751) has a non-linearity and cannot be merged
into the matrix before it. The record of a deployed model with adapters therefore lists where they
are and how wide they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

W = TypeVar("W", bound="ModuleWrapper")


class ModuleWrapper(nn.Module):
    """Replaces a module of a model and changes what it computes.

    An attribute that the wrapper lacks (``weight``, ``bias``, ``in_features`` ...) is that of the
    module inside, so that the anatomy of the model can still be read.

    Args:
        inner: The module inside.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)


def unwrap(model: nn.Module, kind: type[W]) -> list[W]:
    """Put the modules inside all wrappers of a kind back into a model, in place.

    Returns:
        The wrappers, in the order of the model's modules; each still has its ``inner`` module.
    """
    wrappers = [(path, m) for path, m in model.named_modules() if isinstance(m, kind)]
    for path, wrapper in wrappers:
        model.set_submodule(path, wrapper.inner)
    return [wrapper for _, wrapper in wrappers]


class Bottleneck(nn.Module):
    """Adds ``up(relu(down(x)))`` to ``x``; initially zero.

    Args:
        size: Entries of ``x``.
        width: Units of the bottleneck.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.down = nn.Linear(size, width)
        self.up = nn.Linear(width, size)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the adapted values ``[..., size]``."""
        added: Tensor = self.up(torch.relu(self.down(inputs)))
        return inputs + added


class Adapted(ModuleWrapper):
    """A module followed by a bottleneck.

    Args:
        inner: The module.
        bottleneck: The adapter of its outputs.
    """

    def __init__(self, inner: nn.Module, bottleneck: Bottleneck) -> None:
        super().__init__(inner)
        self.bottleneck = bottleneck

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the adapted outputs."""
        adapted: Tensor = self.bottleneck(self.inner(inputs))
        return adapted

    @torch.no_grad()
    def multiply_outputs(self, factor: float) -> None:
        """Multiply the outputs of the bottleneck by a factor, through its weights.

        Args:
            factor: The factor. The caller multiplies the outputs of the module inside by the same.
        """
        if factor:
            self.bottleneck.down.weight.div_(factor)
        self.bottleneck.up.weight.mul_(factor)
        self.bottleneck.up.bias.mul_(factor)


def insert_bottlenecks(model: nn.Module, widths: Mapping[str, int]) -> None:
    """Insert bottlenecks behind modules of a model, in place.

    Args:
        model: The model.
        widths: The units of each bottleneck, by the path of the module before it.

    Raises:
        UserError: The model has no such module.
    """
    for path, width in widths.items():
        try:
            inner = model.get_submodule(path)
        except AttributeError:
            raise UserError(f"bottlenecks: the model has no module {path!r}") from None
        weight = inner.get_parameter("weight")
        size = weight.shape[0] if isinstance(inner, nn.Linear) else weight.shape[1]
        model.set_submodule(path, Adapted(inner, Bottleneck(size, width).to(weight)))


def bottleneck_widths(model: nn.Module) -> dict[str, int]:
    """Return the units of each bottleneck, by the path of the module before it."""
    found = [(path, m) for path, m in model.named_modules() if isinstance(m, Adapted)]
    return {path: module.bottleneck.down.out_features for path, module in found}
