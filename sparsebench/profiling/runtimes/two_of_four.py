"""The runtime ``2:4``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from sparsebench.profiling.runtimes.base import KernelPair, Runtime, holders, with_replaced

if TYPE_CHECKING:
    from torch import Tensor

    from sparsebench.profiling.runtimes.base import MatrixShape

GROUP = 4
CAPABILITY = (8, 0)
"""CUDA compute capability of the Ampere generation, the first with sparse tensor cores."""

_TYPES = (torch.float16, torch.bfloat16)
_MULTIPLE = 64
"""Both sizes of a matrix must be multiples of this, for the kernels of either backend."""


class TwoOfFour(Runtime):
    """Multiplies matrices with the 2:4 pattern on sparse tensor cores; CUDA only."""

    skips = "weights"
    shares = (0.5,)

    def refuses(self, model: nn.Module, *, device: torch.device, dtype: torch.dtype) -> str | None:
        """Refuse other devices and types, and models without a matrix in the pattern."""
        if reason := _lacking(device, dtype):
            return reason
        if not any(_fits(holder.weight) for holder in holders(model)):
            return "no matrix of the blocks follows the 2:4 pattern"
        return None

    def convert(self, model: nn.Module) -> nn.Module:
        """Return a copy with the matrices of the pattern compressed."""
        return with_replaced(model, _fits, _compressed)

    def kernel_pair(
        self, shape: MatrixShape, *, share: float, device: torch.device, dtype: torch.dtype
    ) -> KernelPair | None:
        """Return a product with a weight in the pattern, whose sparsity is 0.5."""
        if _lacking(device, dtype) or share != self.shares[0]:
            return None
        weight = torch.randn(shape.rows, shape.columns, device=device, dtype=dtype)
        weight.view(-1, GROUP)[:, : GROUP // 2] = 0.0
        if not _fits(weight):
            return None
        inputs = torch.randn(shape.tokens, shape.columns, device=device, dtype=dtype)
        converted = _compressed(weight, None)
        return KernelPair(lambda: functional.linear(inputs, weight), lambda: converted(inputs))


def _lacking(device: torch.device, dtype: torch.dtype) -> str | None:
    if device.type != "cuda":
        return f"it needs a CUDA device of the Ampere generation or later, not {device.type}"
    if (has := torch.cuda.get_device_capability(device)) < CAPABILITY:
        return f"it needs compute capability 8.0, and this device has {has[0]}.{has[1]}"
    if dtype not in _TYPES:
        return f"it runs in float16 and bfloat16, not in {str(dtype).removeprefix('torch.')}"
    return None


def _fits(weight: Tensor) -> bool:
    if any(size % _MULTIPLE for size in weight.shape):
        return False
    kept = (weight.reshape(-1, GROUP) != 0).sum(1)
    return bool((kept <= GROUP // 2).all())


def _compressed(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    rows, columns = weight.shape
    linear = nn.Linear(columns, rows, bias=bias is not None, device="meta")
    convert: Any = torch.sparse.to_sparse_semi_structured
    linear.weight = nn.Parameter(convert(weight.contiguous()), requires_grad=False)
    if bias is not None:
        linear.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return linear
