"""Training a function of a weight, and writing its result into the weight at the end.

A map is a module that takes a matrix ``[out, in]`` and returns the matrix to compute with. Maps are
attached to matrices of the anatomy, whatever their layout: GPT-2's fused and transposed projection
is three matrices with a map each.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn
from torch.nn import functional

from sparsebench.models.wrappers import ModuleWrapper, unwrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from torch import Tensor

    from sparsebench.models import Matrix

M = TypeVar("M", bound=nn.Module)


class ParametrizedLinear(ModuleWrapper):
    """A linear module that multiplies its inputs by a mapped weight.

    Its ``weight`` is the raw one. Maps compute in the type of the weight, outside autocast:
    otherwise a small update would be rounded away.

    ``torch.nn.utils.parametrize`` would do this for one whole parameter. It has no maps for the
    parts of a fused or transposed weight, its ``weight`` is the mapped one, which hides the raw
    weight from the anatomy and is computed at every access, and it changes the class of the module.

    Args:
        inner: The ``Linear`` or ``Conv1D`` that holds the weight.
        maps: The matrices of the module, in the order of their rows, each with its map.
    """

    def __init__(self, inner: nn.Module, maps: Mapping[Matrix, nn.Module]) -> None:
        super().__init__(inner)
        self.maps = nn.ModuleDict({matrix.role.value: maps[matrix] for matrix in maps})
        self.matrices = tuple(maps)

    def parts(self) -> Iterator[tuple[Tensor, nn.Module]]:
        """Yield each raw matrix ``[out, in]``, a view of the weight, with its map."""
        for matrix in self.matrices:
            yield matrix.view(self.weight), self.maps[matrix.role.value]

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the product ``[..., out]`` of inputs ``[..., in]`` with the mapped weight."""
        mapped = self.mapped()
        weight = mapped[0] if len(mapped) == 1 else torch.cat(mapped)
        return functional.linear(inputs, weight, self.bias)

    def mapped(self) -> list[Tensor]:
        """Return the mapped matrices, each ``[out, in]``."""
        with no_autocast(self.weight):
            return [change(weight) for weight, change in self.parts()]


def no_autocast(tensor: Tensor) -> AbstractContextManager[Any]:
    """Return a context in which operations on the device of a tensor keep their types."""
    kind = tensor.device.type
    if not torch.amp.is_autocast_available(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)


def attach(model: nn.Module, maps: Mapping[Matrix, nn.Module]) -> None:
    """Attach maps to matrices of a model, in place.

    Args:
        model: The model.
        maps: A map for each matrix. All matrices of a fused module need one; ``nn.Identity()``
            leaves a matrix as it is.

    Raises:
        ValueError: Some matrices of a fused module have no map.
    """
    modules: dict[str, list[Matrix]] = {}
    for matrix in maps:
        modules.setdefault(matrix.path, []).append(matrix)
    for path, matrices in modules.items():
        inner: Any = model.get_submodule(path)
        rows = sum(matrix.weight(model).shape[0] for matrix in matrices)
        if rows != inner.weight.shape[1 if matrices[0].transposed else 0]:
            raise ValueError(f"{path}: not all of its fused matrices have a map")
        matrices.sort(key=lambda matrix: matrix.rows.start if matrix.rows else 0)
        model.set_submodule(path, ParametrizedLinear(inner, {m: maps[m] for m in matrices}))


def attached(model: nn.Module, kind: type[M]) -> Iterator[tuple[Tensor, M]]:
    """Yield each raw matrix ``[out, in]`` of a model that has a map of a kind, with that map."""
    for module in model.modules():
        if isinstance(module, ParametrizedLinear):
            for weight, change in module.parts():
                if isinstance(change, kind):
                    yield weight, change


@torch.no_grad()
def fold(model: nn.Module) -> None:
    """Write every mapped matrix into its weight and take the maps off, in place."""
    for module in unwrap(model, ParametrizedLinear):
        for (weight, _), mapped in zip(module.parts(), module.mapped(), strict=True):
            weight.copy_(mapped)
