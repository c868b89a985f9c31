"""The runtime ``csr``."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from sparsebench.profiling.parameters import nonzero_entries
from sparsebench.profiling.runtimes.base import (
    KernelPair,
    Runtime,
    holders,
    with_replaced,
    zeros_in,
)

if TYPE_CHECKING:
    from torch import Tensor

    from sparsebench.profiling.runtimes.base import MatrixShape

LEAST = 0.5
"""Sparsity below which a matrix stays dense: with an index for every value, CSR would not even
save memory."""


class CSRLinear(nn.Module):
    """A linear module whose weight is stored by rows, without its zeros.

    Args:
        weight: The weight ``[out, in]``, dense.
        bias: The bias ``[out]``, or None.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            stored = weight.contiguous().to_sparse_csr()
        self.weight = nn.Parameter(stored, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs ``[..., out]`` for inputs ``[..., in]``."""
        columns = inputs.reshape(-1, inputs.shape[-1]).t()
        if self.bias is None:
            outputs = torch.mm(self.weight, columns)
        else:
            outputs = torch.addmm(self.bias[:, None], self.weight, columns)
        return outputs.t().reshape(*inputs.shape[:-1], -1)


class CSR(Runtime):
    """Stores and multiplies matrices that are at least half zero as CSR; CPU only."""

    skips = "weights"

    def refuses(self, model: nn.Module, *, device: torch.device, dtype: torch.dtype) -> str | None:
        """Refuse accelerators, types without a kernel, and models with too few zeros."""
        if device.type != "cpu":
            return f"it runs on a CPU only, not on {device.type}"
        if dtype not in (torch.float32, torch.float64):
            return f"it has no kernel for {str(dtype).removeprefix('torch.')} on a CPU"
        if not any(_sparse_enough(holder.weight) for holder in holders(model)):
            return "no matrix of the blocks is at least half zero"
        return None

    def convert(self, model: nn.Module) -> nn.Module:
        """Return a copy with its sparse matrices in CSR."""
        return with_replaced(model, _sparse_enough, CSRLinear)

    def kernel_pair(
        self, shape: MatrixShape, *, share: float, device: torch.device, dtype: torch.dtype
    ) -> KernelPair | None:
        """Return a product with an unstructured sparse weight."""
        if device.type != "cpu" or dtype not in (torch.float32, torch.float64):
            return None
        weight = torch.randn(shape.rows, shape.columns, dtype=dtype)
        weight.masked_fill_(zeros_in(tuple(weight.shape), share, device=device), 0.0)
        inputs = torch.randn(shape.tokens, shape.columns, dtype=dtype)
        bias = torch.zeros(shape.rows, dtype=dtype)
        converted = CSRLinear(weight, bias)
        return KernelPair(
            lambda: functional.linear(inputs, weight, bias), lambda: converted(inputs)
        )


def _sparse_enough(weight: Tensor) -> bool:
    return nonzero_entries(weight) <= (1 - LEAST) * weight.numel()
