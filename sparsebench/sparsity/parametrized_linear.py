"""Training a function of a weight in its place, and folding the result into it at the end.

A map is a module that takes a matrix ``[out, in]`` and returns the one to compute with. It is
attached to matrices of the anatomy, whatever their layout: GPT-2's fused and transposed projection
is three matrices with a map each.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from torch import Tensor

    from sparsebench.models import Matrix

M = TypeVar("M", bound=nn.Module)


class ParametrizedLinear(nn.Module):
    """A linear module whose weight goes through maps on its way into the product.

    Its ``weight`` is the raw one, so that an anatomy can still be read. Maps compute in the type of
    the weight, outside autocast: a small update must not be rounded away.

    Args:
        inner: The ``Linear`` or ``Conv1D`` that holds the weight.
        maps: The matrices of the module, in the order of their rows, each with its map.
    """

    def __init__(self, inner: nn.Module, maps: Mapping[Matrix, nn.Module]) -> None:
        super().__init__()
        self.inner: Any = inner
        self.maps = nn.ModuleDict({matrix.role.value: maps[matrix] for matrix in maps})
        self.matrices = tuple(maps)

    @property
    def weight(self) -> Tensor:
        """The raw weight, in the layout of the module inside."""
        weight: Tensor = self.inner.weight
        return weight

    @property
    def bias(self) -> Tensor | None:
        """The bias of the module inside."""
        bias: Tensor | None = self.inner.bias
        return bias

    def parts(self) -> Iterator[tuple[Tensor, nn.Module]]:
        """Yields each raw matrix ``[out, in]``, a view of the weight, with its map."""
        for matrix in self.matrices:
            yield matrix.view(self.weight), self.maps[matrix.role.value]

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns the product with the mapped weight."""
        mapped = self.mapped()
        weight = mapped[0] if len(mapped) == 1 else torch.cat(mapped)
        return functional.linear(inputs, weight, self.bias)

    def mapped(self) -> list[Tensor]:
        """Returns what the maps make of the matrices, each ``[out, in]``."""
        with no_autocast(self.weight):
            return [change(weight) for weight, change in self.parts()]


def no_autocast(tensor: Tensor) -> AbstractContextManager[Any]:
    """Returns a context in which what is computed of a tensor keeps its type."""
    kind = tensor.device.type
    if not torch.amp.is_autocast_available(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)


def attach(model: nn.Module, maps: Mapping[Matrix, nn.Module]) -> None:
    """Puts maps on matrices of a model, in place.

    Args:
        model: The model.
        maps: A map for each matrix. Of a fused module all matrices must be given;
            ``nn.Identity()`` leaves one as it is.

    Raises:
        ValueError: A fused module is given in part.
    """
    modules: dict[str, list[Matrix]] = {}
    for matrix in maps:
        modules.setdefault(matrix.path, []).append(matrix)
    for path, matrices in modules.items():
        inner: Any = model.get_submodule(path)
        rows = sum(matrix.weight(model).shape[0] for matrix in matrices)
        if rows != inner.weight.shape[1 if matrices[0].transposed else 0]:
            raise ValueError(f"{path}: not all of its fused matrices are given a map")
        matrices.sort(key=lambda matrix: matrix.rows.start if matrix.rows else 0)
        model.set_submodule(path, ParametrizedLinear(inner, {m: maps[m] for m in matrices}))


def attached(model: nn.Module, kind: type[M]) -> Iterator[tuple[Tensor, M]]:
    """Yields each raw matrix ``[out, in]`` of a model that has a map of a kind, with that map."""
    for module in model.modules():
        if isinstance(module, ParametrizedLinear):
            for weight, change in module.parts():
                if isinstance(change, kind):
                    yield weight, change


@torch.no_grad()
def fold(model: nn.Module) -> None:
    """Writes every mapped weight into its module and takes the maps away, in place."""
    wrapped = [(p, m) for p, m in model.named_modules() if isinstance(m, ParametrizedLinear)]
    for path, module in wrapped:
        for (weight, _), mapped in zip(module.parts(), module.mapped(), strict=True):
            weight.copy_(mapped)
        model.set_submodule(path, module.inner)
