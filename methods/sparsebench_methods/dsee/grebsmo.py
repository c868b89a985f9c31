"""GreBsmo: greedy bilateral decomposition of a matrix into a low-rank and a sparse part.

As DSEE uses it (arXiv:2111.00160): what matters is only where the sparse part is largest.
"""

from __future__ import annotations

import torch

ROUNDS = 100
GROWTH = 5
"""Rows by which V grows in a round."""

THRESHOLD = 0.01
"""Entries of the sparse part under this are zero."""

SHARE = 0.65
"""The rank stays under this share of a full one. At 768 rows the rounds end before; with fewer,
the decomposition would become exact, and nothing would be left to rank."""


@torch.no_grad()
def residual(weight: torch.Tensor, *, generator: torch.Generator) -> torch.Tensor:
    """Returns what the low-rank part leaves over of a matrix.

    The sparse part is this residual without the entries under ``THRESHOLD``; its largest entries
    are those of the residual, which tells the small ones apart as well. The rank reached is 496,
    less for a matrix of fewer than 764 rows or columns.

    Args:
        weight: The matrix ``[out, in]``.
        generator: Draws the first row of V; on the CPU.
    """
    target = weight.float()
    first = torch.randn(1, target.shape[1], generator=generator)
    rows = first.to(target.device)
    limit = SHARE * min(target.shape)
    left = target
    for _ in range(ROUNDS):
        sparse = torch.zeros_like(target)
        for _ in range(2):
            basis = torch.linalg.qr((target - sparse) @ rows.T).Q
            rows = basis.T @ (target - sparse)
            left = target - basis @ rows
            sparse = left.masked_fill(left.abs() < THRESHOLD, 0.0)
        if rows.shape[0] + GROWTH > limit:
            break
        rows = torch.cat([rows, _first_rows(left - sparse)])
    return left


def _first_rows(matrix: torch.Tensor) -> torch.Tensor:
    """Returns the first rows of R in the QR decomposition, which the first columns of Q give."""
    basis: torch.Tensor = torch.linalg.qr(matrix[:, :GROWTH]).Q
    return basis.T @ matrix
