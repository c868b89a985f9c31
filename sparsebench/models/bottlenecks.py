"""Bottleneck adapters (Houlsby et al., arXiv:1902.00751) as part of a model that ships.

Such an adapter has a non-linearity and cannot be merged into the matrix before it. A model with
adapters is therefore described by where they stand and how wide they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from sparsebench.errors import UserError
from sparsebench.models.module_wrapper import ModuleWrapper

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


class Bottleneck(nn.Module):
    """Adds ``up(relu(down(x)))`` to ``x``; nothing at first.

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
        """Returns the adapted values ``[..., size]``."""
        added: Tensor = self.up(torch.relu(self.down(inputs)))
        return inputs + added


class Adapted(ModuleWrapper):
    """A module with a bottleneck after it.

    Args:
        inner: The module.
        bottleneck: The adapter of its outputs.
    """

    def __init__(self, inner: nn.Module, bottleneck: Bottleneck) -> None:
        super().__init__(inner)
        self.bottleneck = bottleneck

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns the adapted outputs."""
        adapted: Tensor = self.bottleneck(self.inner(inputs))
        return adapted

    @torch.no_grad()
    def multiply_outputs(self, factor: float) -> None:
        """Multiplies all that comes out of the bottleneck, by its weights; not what goes in.

        Args:
            factor: By what; the outputs of the module inside are to be multiplied by the same.
        """
        if factor:
            self.bottleneck.down.weight.div_(factor)
        self.bottleneck.up.weight.mul_(factor)
        self.bottleneck.up.bias.mul_(factor)


def insert_bottlenecks(model: nn.Module, widths: Mapping[str, int]) -> None:
    """Puts bottlenecks behind modules of a model, in place.

    Args:
        model: The model.
        widths: The units of each bottleneck, by the path of the module that it stands behind.

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
    """Returns the units of each bottleneck, by the path of the module that it stands behind."""
    found = [(path, m) for path, m in model.named_modules() if isinstance(m, Adapted)]
    return {path: module.bottleneck.down.out_features for path, module in found}
