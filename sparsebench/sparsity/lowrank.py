"""An update of low rank: two narrow matrices instead of one of full size."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from sparsebench.sparsity.branches import Branch


class LowRank(Branch):
    """The update ``scale * B A``, zero at first.

    Args:
        shape: Rows and columns ``(out, in)`` of the matrix.
        rank: Its rank.
        scale: What it is multiplied by.
        std: Standard deviation of the entries of A at first; those of B are zero.
        generator: Draws A; on the CPU.
        dropout: The share of inputs that it does not see in training.

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

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Returns what the update adds ``[..., out]`` for inputs ``[..., in]``."""
        if self.dropout:
            inputs = functional.dropout(inputs, self.dropout, training=self.training)
        narrow = functional.linear(inputs, self.A)
        return functional.linear(narrow, self.scale * self.B)

    def delta(self) -> torch.Tensor:
        """Returns the update as a matrix ``[out, in]``."""
        return self.scale * self.B @ self.A

    @torch.no_grad()
    def keep_rows(self, rows: torch.Tensor) -> None:
        """Keeps only some rows of the matrix, as a removal of heads leaves them.

        Args:
            rows: The numbers of the rows that stay.
        """
        kept = self.B.index_select(0, rows.to(self.B.device))
        self.B = nn.Parameter(kept, requires_grad=self.B.requires_grad)
