"""Branches beside frozen weights: what a matrix computes, plus what an update of it computes.

A branch is a module that takes the inputs of a matrix ``[..., in]`` and returns what to add to its
outputs ``[..., out]``; ``delta()`` returns the matrix ``[out, in]`` that does the same. In training
only the branch is differentiated, so that no gradient of the size of the weight is ever made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from sparsebench.models.module_wrapper import ModuleWrapper

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from sparsebench.models import Matrix

B = TypeVar("B", bound="Branch")


class Branch(nn.Module):
    """An update of one matrix, computed beside it."""

    def delta(self) -> Tensor:
        """Returns the update as a matrix ``[out, in]``."""
        raise NotImplementedError


class Branched(ModuleWrapper):
    """A linear module with branches.

    Args:
        inner: The ``Linear`` or ``Conv1D``.
        branches: Matrices that it holds, each with its branch.
    """

    def __init__(self, inner: nn.Module, branches: Mapping[Matrix, Branch]) -> None:
        super().__init__(inner)
        self.branches = nn.ModuleDict({matrix.role.value: branches[matrix] for matrix in branches})
        self.matrices = tuple(branches)

    def parts(self) -> Iterator[tuple[Matrix, Branch]]:
        """Yields each matrix that has a branch, with it."""
        for matrix in self.matrices:
            branch = self.branches[matrix.role.value]
            assert isinstance(branch, Branch)  # noqa: S101 - narrows the type
            yield matrix, branch

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns the outputs of the module inside plus those of the branches."""
        outputs: Tensor = self.inner(inputs)
        for matrix, branch in self.parts():
            rows = outputs if matrix.rows is None else outputs[..., matrix.rows]
            rows += branch(inputs)  # a linear module needs its output for no gradient
        return outputs


def attach_branches(model: nn.Module, branches: Mapping[Matrix, Branch]) -> None:
    """Puts branches beside matrices of a model, in place.

    Args:
        model: The model.
        branches: The matrices that get one, by the model's anatomy.
    """
    modules: dict[str, dict[Matrix, Branch]] = {}
    for matrix, branch in branches.items():
        placed = branch.to(matrix.weight(model).device)
        modules.setdefault(matrix.path, {})[matrix] = placed
    for path, parts in modules.items():
        model.set_submodule(path, Branched(model.get_submodule(path), parts))


def branches(model: nn.Module, kind: type[B]) -> dict[Matrix, B]:
    """Returns the branches of a kind that a model has, by their matrix."""
    found = [m for m in model.modules() if isinstance(m, Branched)]
    parts = [part for module in found for part in module.parts()]
    return {matrix: branch for matrix, branch in parts if isinstance(branch, kind)}


def detach_branches(model: nn.Module) -> None:
    """Takes all branches off a model, in place; its weights stay as they are."""
    found = [(path, m) for path, m in model.named_modules() if isinstance(m, Branched)]
    for path, module in found:
        model.set_submodule(path, module.inner)


@torch.no_grad()
def fold_branches(model: nn.Module) -> None:
    """Adds every branch to its matrix and takes it off, in place."""
    for matrix, branch in branches(model, Branch).items():
        matrix.weight(model).add_(branch.delta())
    detach_branches(model)
