"""Which weights stay: masks from scores, exact to the entry.

A mask is a boolean tensor, True where the weight stays. What is pruned has the lowest scores, and
the same scores always give the same mask (see ``without_lowest`` for ties).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import torch

from sparsebench.errors import UserError
from sparsebench.sparsity.selection import without_lowest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

GROUP = 4
"""In the 2:4 pattern, two of so many neighbours in a row stay."""

HALF = 0.5
"""The sparsity of the 2:4 pattern."""


class Scope(StrEnum):
    """Where scores compete."""

    PER_MATRIX = "per_matrix"
    """Within each matrix: every matrix gets the same sparsity."""

    GLOBAL = "global"
    """Across all matrices: only the total sparsity is given."""


class Pattern(StrEnum):
    """Which sets of weights may be pruned together."""

    UNSTRUCTURED = "unstructured"
    """Any."""

    TWO_OF_FOUR = "2:4"
    """Two of every four neighbours in a row, which GPUs of the Ampere line and later can skip."""

    STRUCTURED = "structured"
    """Whole attention heads and whole neurons of the feed-forward networks."""


def pruned_count(numel: int, sparsity: float) -> int:
    """Returns how many of ``numel`` weights a sparsity in [0, 1] prunes: ``int`` of the product."""
    return int(numel * sparsity)


def keep_highest(
    scores: Sequence[Tensor],
    *,
    sparsity: float,
    scope: Scope = Scope.PER_MATRIX,
    pattern: Pattern = Pattern.UNSTRUCTURED,
) -> list[Tensor]:
    """Returns a mask for each matrix of scores, without the lowest of them.

    Under the 2:4 pattern a sparsity under 0.5 prunes the lowest scores among those that the
    pattern gives up at 0.5, so that a schedule can lead there step by step.

    Args:
        scores: Scores ``[out, in]``, of one type and on one device, with no NaN in them.
        sparsity: The share to prune: exactly ``int(numel * sparsity)`` entries of each matrix, or
            of all of them together where the scope is global.
        scope: Where scores compete.
        pattern: Which sets of weights may be pruned together: any, or two of four.

    Raises:
        UserError: The 2:4 pattern does not fit the shape or the sparsity.
    """
    if pattern is Pattern.TWO_OF_FOUR:
        if sparsity > HALF:
            raise UserError(f"the 2:4 pattern prunes half of the weights, not {sparsity:g}")
        scores = [score.masked_fill(two_of_four(score), torch.inf) for score in scores]
    pools = [scores] if scope is Scope.GLOBAL else [[score] for score in scores]
    return [
        mask
        for pool in pools
        for mask in without_lowest(pool, pruned_count(sum(s.numel() for s in pool), sparsity))
    ]


def two_of_four(scores: Tensor) -> Tensor:
    """Returns the mask of the two highest of every four neighbours in each row.

    Args:
        scores: Scores ``[out, in]``.

    Raises:
        UserError: The rows do not divide by four.
    """
    if scores.shape[-1] % GROUP:
        raise UserError(
            f"the 2:4 pattern needs rows that divide by 4; these have {scores.shape[-1]}"
        )
    groups = scores.reshape(*scores.shape[:-1], -1, GROUP)
    lowest = groups.sort(stable=True).indices[..., : GROUP // 2]
    return torch.ones_like(groups, dtype=torch.bool).scatter_(-1, lowest, value=False).flatten(-2)
