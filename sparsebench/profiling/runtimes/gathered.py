"""The runtime ``gathered``."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from sparsebench.models import anatomy_of
from sparsebench.profiling.parameters import peft_base
from sparsebench.profiling.runtimes.base import KernelPair, Runtime, zeros_in

if TYPE_CHECKING:
    from torch import Tensor

    from sparsebench.profiling.runtimes.base import MatrixShape

_MOST = 0.5
"""Share of active neurons above which the whole product runs, as gathering copies weights."""


class GatheredLinear(nn.Module):
    """The second matrix of a feed-forward network, used only where an activation is not zero.

    The tokens of a batch share the gathered weights: a neuron is active if it is for any token.

    Args:
        weight: The weight ``[out, in]``.
        bias: The bias ``[out]``, or None.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.rows = nn.Parameter(weight.detach().T.contiguous(), requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)

    @property
    def weight(self) -> Tensor:
        """The weight ``[out, in]``."""
        return self.rows.T

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs ``[..., out]`` for activations ``[..., in]``."""
        tokens = inputs.reshape(-1, inputs.shape[-1])
        active = (tokens != 0).any(0).nonzero().flatten()
        rows: Tensor = self.rows
        if active.numel() <= _MOST * len(rows):
            tokens, rows = tokens.index_select(1, active), rows.index_select(0, active)
        outputs = tokens @ rows if self.bias is None else torch.addmm(self.bias, tokens, rows)
        return outputs.reshape(*inputs.shape[:-1], -1)


class Gathered(Runtime):
    """Computes the second product of a feed-forward network for active neurons only."""

    skips = "activations"

    def refuses(self, model: nn.Module, *, device: torch.device, dtype: torch.dtype) -> str | None:
        """Refuse models whose activation function is never exactly zero."""
        base = peft_base(model)
        networks = [block.ffn for block in anatomy_of(base).blocks if block.ffn is not None]
        if not networks:
            return "the model has no feed-forward network"
        function = base.get_submodule(networks[0].activation)
        below = torch.tensor([-1.0], device=device, dtype=dtype)
        if function(below).item() != 0:
            kind = getattr(function, "inner", function)
            return f"the activation function ({type(kind).__name__}) is not zero below zero"
        return None

    def convert(self, model: nn.Module) -> nn.Module:
        """Return a copy whose feed-forward networks gather."""
        model = copy.deepcopy(model)
        base = peft_base(model)
        for block in anatomy_of(base).blocks:
            if block.ffn is not None and not hasattr(block.ffn.down.module(base), "base_layer"):
                out = block.ffn.down
                gathered = GatheredLinear(out.weight(base), out.bias(base))
                base.set_submodule(out.path, gathered)
        return model

    def kernel_pair(
        self, shape: MatrixShape, *, share: float, device: torch.device, dtype: torch.dtype
    ) -> KernelPair | None:
        """Return a product with activations that are zero at a share of the neurons."""
        weight = torch.randn(shape.rows, shape.columns, device=device, dtype=dtype)
        inputs = torch.randn(shape.tokens, shape.columns, device=device, dtype=dtype)
        inputs.masked_fill_(zeros_in(tuple(inputs.shape), share, device=device), 0.0)
        gathered = GatheredLinear(weight, None)
        return KernelPair(lambda: functional.linear(inputs, weight), lambda: gathered(inputs))
