"""Updates beside frozen weights: branches, such as those of low rank.

A branch is a module that takes the inputs of a matrix ``[..., in]`` and returns what to add to its
outputs ``[..., out]``; ``delta()`` returns the same update as a matrix ``[out, in]``. Training
differentiates the branch alone, so that no gradient of the size of the weight is computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn
from torch.nn import functional

from sparsebench.models.wrappers import ModuleWrapper, unwrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from sparsebench.models import Matrix

B = TypeVar("B", bound="Branch")


class Branch(nn.Module):
    """An update of one matrix, computed beside it."""

    def delta(self) -> Tensor:
        """Return the update as a matrix ``[out, in]``."""
        raise NotImplementedError


class Branched(ModuleWrapper):
    """A linear module with branches.

    Args:
        inner: The ``Linear`` or ``Conv1D``.
        branches: Matrices of the module, each with its branch.
    """

    def __init__(self, inner: nn.Module, branches: Mapping[Matrix, Branch]) -> None:
        super().__init__(inner)
        self.branches = nn.ModuleDict({matrix.role.value: branches[matrix] for matrix in branches})
        self.matrices = tuple(branches)

    def parts(self) -> Iterator[tuple[Matrix, Branch]]:
        """Yield each matrix that has a branch, with the branch."""
        for matrix in self.matrices:
            branch = self.branches[matrix.role.value]
            assert isinstance(branch, Branch)  # noqa: S101 - narrows the type
            yield matrix, branch

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs of the module inside plus those of the branches."""
        outputs: Tensor = self.inner(inputs)
        for matrix, branch in self.parts():
            rows = outputs if matrix.rows is None else outputs[..., matrix.rows]
            rows += branch(inputs)  # in place: no gradient of a linear module needs its outputs
        return outputs


class LowRank(Branch):
    """The update ``scale * B A``, zero at first.

    Args:
        shape: Rows and columns ``(out, in)`` of the matrix.
        rank: The rank.
        scale: The factor of the product.
        std: Standard deviation of the entries of A at first; those of B are zero.
        generator: Draws A; on the CPU.
        dropout: The share of inputs that the update does not see in training.

    Attributes:
        A: ``[rank, in]``.
        B: ``[out, rank]``.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        *,
        rank: int,
        scale: float,
        std: float,
        generator: torch.Generator,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.dropout = dropout
        self.A = nn.Parameter(torch.empty(rank, shape[1]).normal_(std=std, generator=generator))
        self.B = nn.Parameter(torch.zeros(shape[0], rank))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the addition ``[..., out]`` for inputs ``[..., in]``."""
        if self.dropout:
            inputs = functional.dropout(inputs, self.dropout, training=self.training)
        narrow = functional.linear(inputs, self.A)
        return functional.linear(narrow, self.scale * self.B)

    def delta(self) -> Tensor:
        """Return the update as a matrix ``[out, in]``."""
        return self.scale * self.B @ self.A

    @torch.no_grad()
    def keep_rows(self, rows: Tensor) -> None:
        """Keep only some rows of the matrix, after a removal of heads.

        Args:
            rows: The numbers of the rows that stay.
        """
        kept = self.B.index_select(0, rows.to(self.B.device))
        self.B = nn.Parameter(kept, requires_grad=self.B.requires_grad)


def attach_branches(model: nn.Module, branches: Mapping[Matrix, Branch]) -> None:
    """Attach branches beside matrices of a model, in place.

    Args:
        model: The model.
        branches: A branch for each matrix, by the model's anatomy.
    """
    modules: dict[str, dict[Matrix, Branch]] = {}
    for matrix, branch in branches.items():
        placed = branch.to(matrix.weight(model).device)
        modules.setdefault(matrix.path, {})[matrix] = placed
    for path, parts in modules.items():
        model.set_submodule(path, Branched(model.get_submodule(path), parts))


def branches(model: nn.Module, kind: type[B]) -> dict[Matrix, B]:
    """Return the branches of a kind that a model has, by their matrix."""
    found = [m for m in model.modules() if isinstance(m, Branched)]
    parts = [part for module in found for part in module.parts()]
    return {matrix: branch for matrix, branch in parts if isinstance(branch, kind)}


def detach_branches(model: nn.Module) -> None:
    """Take all branches off a model, in place; its weights stay as they are."""
    unwrap(model, Branched)


@torch.no_grad()
def fold_branches(model: nn.Module) -> None:
    """Add every branch to its matrix and take it off, in place."""
    for matrix, branch in branches(model, Branch).items():
        matrix.weight(model).add_(branch.delta())
    detach_branches(model)
