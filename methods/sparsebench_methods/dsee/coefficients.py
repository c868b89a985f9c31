"""Learned coefficients that tell which heads and neurons matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from sparsebench.models import ModuleWrapper

if TYPE_CHECKING:
    from torch import Tensor

    from sparsebench import Anatomy
    from sparsebench.models import Matrix


class Scaled(ModuleWrapper):
    """A linear module whose inputs are multiplied by learned coefficients, 1 at first.

    To multiply the attention probabilities of a head by a coefficient is to multiply what the head
    hands to the output projection; to multiply a neuron's activation is to multiply an input of
    the second matrix of the feed-forward network. So both stand in one place, whatever the kernel.

    Args:
        inner: The ``Linear`` or ``Conv1D``.
        matrix: The matrix that it holds.
        groups: Coefficients; each multiplies as many neighbouring inputs.
    """

    def __init__(self, inner: nn.Module, matrix: Matrix, *, groups: int) -> None:
        super().__init__(inner)
        self.matrix = matrix
        weight = matrix.view(inner.weight)  # type: ignore[arg-type]
        self.size = weight.shape[1] // groups
        self.coefficients = nn.Parameter(torch.ones(groups, device=weight.device))

    def factors(self) -> Tensor:
        """Returns what each input is multiplied by ``[in]``."""
        return self.coefficients.repeat_interleave(self.size)

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns the outputs of the module inside for the scaled inputs."""
        outputs: Tensor = self.inner(inputs * self.factors().to(inputs.dtype))
        return outputs


def attach(model: nn.Module, anatomy: Anatomy) -> None:
    """Gives every head and every neuron of a model a coefficient, in place."""
    for block in anatomy.blocks:
        outputs = [(attention.output, attention.heads) for attention in block.attentions]
        if block.ffn is not None:
            outputs.append((block.ffn.down, block.ffn.neurons))
        for matrix, groups in outputs:
            scaled = Scaled(matrix.module(model), matrix, groups=groups)
            model.set_submodule(matrix.path, scaled)


def coefficients(model: nn.Module) -> dict[str, nn.Parameter]:
    """Returns the coefficients of a model, by the path of the matrix that they scale."""
    return {m.matrix.path: m.coefficients for m in model.modules() if isinstance(m, Scaled)}


@torch.no_grad()
def fold(model: nn.Module) -> None:
    """Multiplies the coefficients into the matrices behind them and takes them off, in place."""
    found = [(path, m) for path, m in model.named_modules() if isinstance(m, Scaled)]
    for path, scaled in found:
        scaled.matrix.view(scaled.inner.weight).mul_(scaled.factors())  # type: ignore[arg-type]
        model.set_submodule(path, scaled.inner)
