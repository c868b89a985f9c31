"""A sparse update as positions and values: never a dense matrix in training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from sparsebench.sparsity.branches import Branch

if TYPE_CHECKING:
    from torch import Tensor


class _AddProduct(torch.autograd.Function):
    """Adds to outputs, in place, the product of inputs with a matrix of few entries."""

    @staticmethod
    def forward(
        ctx: Any, outputs: Tensor, inputs: Tensor, values: Tensor, places: Tensor
    ) -> Tensor:
        rows, columns = places
        ctx.mark_dirty(outputs)
        gathered = inputs.index_select(-1, columns)
        ctx.save_for_backward(gathered, values, places)
        ctx.width = inputs.shape[-1]
        return outputs.index_add_(-1, rows, (gathered * values).to(outputs.dtype))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        gathered, values, (rows, columns) = ctx.saved_tensors
        picked = grad.index_select(-1, rows).to(values.dtype)
        for_values = (picked * gathered).flatten(0, -2).sum(0) if ctx.needs_input_grad[2] else None
        for_inputs = None
        if ctx.needs_input_grad[1]:
            for_inputs = gathered.new_zeros(*gathered.shape[:-1], ctx.width)
            for_inputs.index_add_(-1, columns, (picked * values).to(gathered.dtype))
        return grad, for_inputs, for_values, None


class SparseUpdate(Branch):
    """The update ``scale * S``, with S zero but at a few fixed positions, and zero there at first.

    More positions may be given than have a value: they stand by in case that rows are removed, and
    those that stand first then take the place of what went, so that the number of values stays.

    Args:
        positions: Positions ``[at least entries]`` in the matrix read row by row, best first.
        shape: Rows and columns ``(out, in)`` of the matrix.
        entries: How many of the positions have a value.
        scale: What the values are multiplied by.

    Attributes:
        values: The values ``[entries]`` at the first positions.
        places: Row and column ``[2, positions]`` of every position, a buffer.
    """

    places: Tensor

    def __init__(
        self, positions: Tensor, *, shape: tuple[int, int], entries: int, scale: float
    ) -> None:
        super().__init__()
        self.shape = shape
        self.scale = scale
        self.values = nn.Parameter(torch.zeros(min(entries, positions.numel())))
        self.register_buffer("places", torch.stack([positions // shape[1], positions % shape[1]]))

    @property
    def support(self) -> Tensor:
        """Row and column ``[2, entries]`` of every value."""
        return self.places[:, : self.values.numel()]

    def add_to(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        """Adds ``scale * S`` times ``inputs [..., in]`` to ``outputs [..., out]``, in place."""
        added: Tensor = _AddProduct.apply(  # type: ignore[no-untyped-call]
            outputs, inputs, self.scale * self.values, self.support
        )
        return added

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns what the update adds ``[..., out]`` for inputs ``[..., in]``."""
        return self.add_to(inputs.new_zeros(*inputs.shape[:-1], self.shape[0]), inputs)

    def delta(self) -> Tensor:
        """Returns the update as a matrix ``[out, in]``."""
        rows, columns = self.support
        return self.values.new_zeros(self.shape).index_put(
            (rows, columns), self.scale * self.values
        )

    @torch.no_grad()
    def keep_rows(self, rows: Tensor) -> None:
        """Keeps only some rows of the matrix, as a removal of heads leaves them.

        Entries elsewhere go; positions that stood by take their place, with value zero.

        Args:
            rows: The numbers of the rows that stay.
        """
        entries, device = self.values.numel(), self.places.device
        moved = torch.full((self.shape[0],), -1, device=device)
        moved[rows.to(device)] = torch.arange(rows.numel(), device=device)
        new_rows = moved[self.places[0]]
        left = new_rows >= 0
        values = self.values.new_zeros(left.shape)
        values[:entries] = self.values
        kept = values[left][:entries].clone()  # no view, which a checkpoint could not hold
        self.values = nn.Parameter(kept, requires_grad=self.values.requires_grad)
        self.places = torch.stack([new_rows, self.places[1]])[:, left]
        self.shape = (rows.numel(), self.shape[1])
