"""The runtime ``compact``."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from sparsebench.models import Attention, anatomy_of
from sparsebench.profiling.parameters import peft_base
from sparsebench.profiling.runtimes.base import KernelPair, Runtime
from sparsebench.sparsity.removal import removal_record, remove_heads, remove_neurons

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sparsebench.models import FeedForward
    from sparsebench.profiling.runtimes.base import MatrixShape


class Compact(Runtime):
    """Skips heads and neurons that were removed or whose outgoing weights are all zero."""

    skips = "rows"
    shares = (0.01, 0.05, 0.1, 0.25, 0.5)

    def refuses(self, model: nn.Module, *, device: torch.device, dtype: torch.dtype) -> str | None:  # noqa: ARG002
        """Refuse models without parts that were removed or can be."""
        base = peft_base(model)
        if removal_record(base) or any(gone for _, gone in _unused_parts(base)):
            return None
        return "no head or neuron was removed, and none has outgoing weights that are all zero"

    def convert(self, model: nn.Module) -> nn.Module:
        """Return a copy without its unused parts."""
        model = copy.deepcopy(model)
        base = peft_base(model)
        for part, gone in list(_unused_parts(base)):
            if isinstance(part, Attention):
                remove_heads(base, part, gone)
            else:
                remove_neurons(base, part, gone)
        return model

    def kernel_pair(
        self, shape: MatrixShape, *, share: float, device: torch.device, dtype: torch.dtype
    ) -> KernelPair | None:
        """Return a product with fewer rows."""
        inputs = torch.randn(shape.tokens, shape.columns, device=device, dtype=dtype)
        weight = torch.randn(shape.rows, shape.columns, device=device, dtype=dtype)
        left = weight[: max(1, round(shape.rows * (1 - share)))].clone()
        return KernelPair(
            lambda: functional.linear(inputs, weight), lambda: functional.linear(inputs, left)
        )


def _unused_parts(model: nn.Module) -> list[tuple[Attention | FeedForward, list[int]]]:
    """Return the heads and neurons without effect on the output; each layer keeps one."""
    parts: list[tuple[Attention | FeedForward, list[int]]] = []
    for block in anatomy_of(model).blocks:
        parts += [
            (part, _unused(part.output.weight(model), part.heads)) for part in block.attentions
        ]
        if block.ffn is not None:
            parts.append((block.ffn, _unused(block.ffn.down.weight(model), block.ffn.neurons)))
    return parts


def _unused(outgoing: Tensor, units: int) -> list[int]:
    """Return the units whose columns ``[out, units * size]`` are all zero."""
    columns = outgoing.detach().T.reshape(units, -1)
    unused: list[int] = (~(columns != 0).any(1)).nonzero().flatten().tolist()
    return unused[1:] if len(unused) == units else unused
