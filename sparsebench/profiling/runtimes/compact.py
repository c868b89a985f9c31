"""The runtime ``compact``."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from sparsebench.models.anatomy import Attention, anatomy_of
from sparsebench.profiling.parameters import peft_base
from sparsebench.profiling.runtimes.base import Runtime, Trial
from sparsebench.sparsity.removal import removal_record, remove_heads, remove_neurons

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sparsebench.models import FeedForward
    from sparsebench.profiling.runtimes.base import Shape


class Compact(Runtime):
    """Heads and neurons that are gone, or whose outgoing weights are all zero, are not run."""

    skips = "rows"
    shares = (0.01, 0.05, 0.1, 0.25, 0.5)

    def refuses(self, model: nn.Module, *, device: torch.device, dtype: torch.dtype) -> str | None:  # noqa: ARG002
        """Refuses models of which no part was removed or can be."""
        base = peft_base(model)
        if removal_record(base) or any(gone for _, gone in _dead_parts(base)):
            return None
        return "no head or neuron was removed, and none has outgoing weights that are all zero"

    def convert(self, model: nn.Module) -> nn.Module:
        """Returns a copy without its dead parts."""
        model = copy.deepcopy(model)
        base = peft_base(model)
        for part, gone in list(_dead_parts(base)):
            if isinstance(part, Attention):
                remove_heads(base, part, gone)
            else:
                remove_neurons(base, part, gone)
        return model

    def trial(
        self, shape: Shape, *, share: float, device: torch.device, dtype: torch.dtype
    ) -> Trial | None:
        """Returns a product with fewer rows."""
        inputs = torch.randn(shape.tokens, shape.columns, device=device, dtype=dtype)
        weight = torch.randn(shape.rows, shape.columns, device=device, dtype=dtype)
        left = weight[: max(1, round(shape.rows * (1 - share)))].clone()
        return Trial(
            lambda: functional.linear(inputs, weight), lambda: functional.linear(inputs, left)
        )


def _dead_parts(model: nn.Module) -> list[tuple[Attention | FeedForward, list[int]]]:
    """Returns the heads and neurons that reach nothing, one of each layer staying."""
    parts: list[tuple[Attention | FeedForward, list[int]]] = []
    for block in anatomy_of(model).blocks:
        parts += [(part, _dead(part.output.weight(model), part.heads)) for part in block.attentions]
        if block.ffn is not None:
            parts.append((block.ffn, _dead(block.ffn.down.weight(model), block.ffn.neurons)))
    return parts


def _dead(outgoing: Tensor, units: int) -> list[int]:
    """Returns the units whose columns ``[out, units * size]`` are all zero."""
    columns = outgoing.detach().T.reshape(units, -1)
    dead: list[int] = (~(columns != 0).any(1)).nonzero().flatten().tolist()
    return dead[1:] if len(dead) == units else dead
