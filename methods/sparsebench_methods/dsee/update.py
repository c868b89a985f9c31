"""The positions at which DSEE's update has free values beside its low-rank part."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

ROUNDS = 100
"""Rounds of the decomposition."""

GROWTH = 5
"""Rows by which V grows in a round."""

THRESHOLD = 0.01
"""Smaller entries of the sparse part are zero."""

SHARE = 0.65
"""The rank stays below this share of full rank. With 768 rows the rounds end earlier; with fewer
rows the decomposition would become exact, and its residual could rank nothing."""


class Support(StrEnum):
    """How the positions of the sparse update are chosen."""

    GREBSMO = "grebsmo"
    """Where a low-rank decomposition of the pretrained weight leaves the largest residual."""

    MAGNITUDE = "magnitude"
    """Where the pretrained weight is largest."""

    RANDOM = "random"
    """At random."""

    NONE = "none"
    """No positions: the update is of low rank only, as in LoRA."""


def positions(
    weight: Tensor, support: Support, *, entries: int, groups: int, generator: torch.Generator
) -> Tensor:
    """Return positions in a matrix read row by row, best first.

    The first ``entries`` positions are the best of the whole matrix. The others are spare: they
    include the best ``entries`` positions of every group of rows, so that after the removal of any
    groups the best remaining positions are known.

    Args:
        weight: The pretrained matrix ``[out, in]``.
        support: How to choose.
        entries: How many positions are needed.
        groups: Groups of rows of equal size (attention heads) that may be removed later; 1 if none.
        generator: Draws random numbers; on the CPU.
    """
    scores = _scores(weight.detach(), support, generator)
    by_group = scores.reshape(groups, -1)
    best = by_group.topk(min(entries, by_group.shape[1]))
    offsets = torch.arange(groups, device=scores.device)[:, None] * by_group.shape[1]
    order = best.values.flatten().argsort(descending=True, stable=True)
    return (best.indices + offsets).flatten()[order]


def _scores(weight: Tensor, support: Support, generator: torch.Generator) -> Tensor:
    if support is Support.GREBSMO:
        return residual(weight, generator=generator).abs()
    if support is Support.MAGNITUDE:
        return weight.abs()
    return torch.rand(weight.shape, generator=generator).to(weight.device)


@torch.no_grad()
def residual(weight: Tensor, *, generator: torch.Generator) -> Tensor:
    """Return the residual ``[out, in]`` of a low-rank approximation of a matrix, by GreBsmo.

    GreBsmo, a greedy bilateral decomposition, splits a matrix into a low-rank and a sparse part.
    The sparse part is the residual without the entries below ``THRESHOLD``, so both have the same
    largest entries; the residual ranks the small ones as well. The rank reached is 496, less for a
    matrix of fewer than 764 rows or columns.

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


def _first_rows(matrix: Tensor) -> Tensor:
    """Return the first rows of R in the QR decomposition; the first columns of Q suffice."""
    basis: Tensor = torch.linalg.qr(matrix[:, :GROWTH]).Q
    return basis.T @ matrix
