"""Updates with values at a few fixed positions of a matrix, and no gradient of its size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from sparsebench.sparsity.branches import Branch

if TYPE_CHECKING:
    from torch import Tensor

    from sparsebench.sparsity.branches import LowRank


class _AddProduct(torch.autograd.Function):
    """Adds to outputs, in place, the product of inputs with a matrix of few entries.

    The inputs at the column of each entry are kept for the backward pass.
    """

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


class _AddDenseProduct(torch.autograd.Function):
    """The same with a dense product: the matrix, and its gradient, exist within a call only."""

    @staticmethod
    def forward(
        ctx: Any, outputs: Tensor, inputs: Tensor, values: Tensor, places: Tensor
    ) -> Tensor:
        ctx.mark_dirty(outputs)
        ctx.save_for_backward(inputs, values, places)
        ctx.shape = (outputs.shape[-1], inputs.shape[-1])
        matrix = _dense(values, places, ctx.shape).to(inputs.dtype)
        return outputs.add_(functional.linear(inputs, matrix))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        inputs, values, places = ctx.saved_tensors
        for_values = for_inputs = None
        if ctx.needs_input_grad[2]:
            product = grad.flatten(0, -2).T @ inputs.flatten(0, -2).to(grad.dtype)
            for_values = product[tuple(places)].to(values.dtype)
        if ctx.needs_input_grad[1]:
            matrix = _dense(values, places, ctx.shape).to(grad.dtype)
            for_inputs = (grad @ matrix).to(inputs.dtype)
        return grad, for_inputs, for_values, None


def _dense(values: Tensor, places: Tensor, shape: tuple[int, int]) -> Tensor:
    return values.new_zeros(shape).index_put(tuple(places), values)


class SparseUpdate(Branch):
    """The update ``scale * S``: S is zero except at a few fixed positions, and zero there at first.

    There may be more positions than values. The positions without a value are spare: if rows are
    removed, the first spare positions replace those that were lost, so that the number of values
    stays.

    With fewer values than the matrix has columns, the products take the time and memory of the
    values; with more of them, those of a dense matrix for the moment of a call.

    Args:
        positions: Positions ``[at least entries]`` in the matrix read row by row, best first.
        shape: Rows and columns ``(out, in)`` of the matrix.
        entries: How many of the positions have a value.
        scale: The factor of the values.

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
        """Add ``scale * S`` times ``inputs [..., in]`` to ``outputs [..., out]``, in place."""
        add = _AddProduct if self.values.numel() < self.shape[1] else _AddDenseProduct
        added: Tensor = add.apply(  # type: ignore[no-untyped-call]
            outputs, inputs, self.scale * self.values, self.support
        )
        return added

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the addition ``[..., out]`` for inputs ``[..., in]``."""
        return self.add_to(inputs.new_zeros(*inputs.shape[:-1], self.shape[0]), inputs)

    def delta(self) -> Tensor:
        """Return the update as a matrix ``[out, in]``."""
        return _dense(self.scale * self.values, self.support, self.shape)

    @torch.no_grad()
    def keep_rows(self, rows: Tensor) -> None:
        """Keep only some rows of the matrix, after a removal of heads.

        Values in other rows are dropped; spare positions replace them, with value zero.

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


class LowRankAndSparse(Branch):
    """An update of two parts: one of low rank, and one with values at a few positions.

    Args:
        low: The part of low rank.
        sparse: The part with few values; None if there is none (yet).
    """

    def __init__(self, low: LowRank, sparse: SparseUpdate | None) -> None:
        super().__init__()
        self.low = low
        self.sparse = sparse

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the addition ``[..., out]`` for inputs ``[..., in]``."""
        added: Tensor = self.low(inputs)
        return added if self.sparse is None else self.sparse.add_to(added, inputs)

    def delta(self) -> Tensor:
        """Return the update as a matrix ``[out, in]``."""
        low = self.low.delta()
        return low if self.sparse is None else low + self.sparse.delta()

    def keep_rows(self, rows: Tensor) -> None:
        """Keep only some rows of the matrix, after a removal of heads."""
        self.low.keep_rows(rows)
        if self.sparse is not None:
            self.sparse.keep_rows(rows)
