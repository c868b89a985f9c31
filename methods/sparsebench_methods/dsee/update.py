"""The update that DSEE trains beside a frozen matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparsebench.sparsity.branches import Branch

if TYPE_CHECKING:
    from torch import Tensor

    from sparsebench.sparsity.branches import LowRank, SparseUpdate


class Update(Branch):
    """The update ``s (B A + S2)``: one part of low rank, and one with few entries.

    Args:
        low: ``s B A``.
        sparse: ``s S2``, or None.
    """

    def __init__(self, low: LowRank, sparse: SparseUpdate | None) -> None:
        super().__init__()
        self.low = low
        self.sparse = sparse

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns what the update adds ``[..., out]`` for inputs ``[..., in]``."""
        added: Tensor = self.low(inputs)
        return added if self.sparse is None else self.sparse.add_to(added, inputs)

    def delta(self) -> Tensor:
        """Returns the update as a matrix ``[out, in]``."""
        low = self.low.delta()
        return low if self.sparse is None else low + self.sparse.delta()

    def keep_rows(self, rows: Tensor) -> None:
        """Keeps only some rows of the matrix, as a removal of heads leaves them."""
        self.low.keep_rows(rows)
        if self.sparse is not None:
            self.sparse.keep_rows(rows)
