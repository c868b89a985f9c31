"""Masks from scores, exact to the entry.

A mask is a boolean tensor, True where the weight stays. The weights with the lowest scores are
pruned, and the same scores always give the same mask (see ``without_lowest`` for ties).

The lowest of many scores are found without sorting them: a sample of the scores gives two bounds of
the threshold, and only the few per cent between the bounds are searched. Every score is read a few
times, however many tensors hold them, on a CPU as on a GPU.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING

import torch

from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

GROUP = 4
"""The 2:4 pattern keeps two of every group of four neighbours in a row."""

HALF = 0.5
"""The sparsity of the 2:4 pattern."""

_SAMPLE = 2**13
"""Size of the sample of the scores; fewer than four times as many scores are searched in full."""


class Scope(StrEnum):
    """Between which matrices scores compete."""

    PER_MATRIX = "per_matrix"
    """Within each matrix, so that every matrix has the same sparsity."""

    GLOBAL = "global"
    """Across all matrices, so that only the total sparsity is fixed."""


class Pattern(StrEnum):
    """Which sets of weights may be pruned together."""

    UNSTRUCTURED = "unstructured"
    """Any."""

    TWO_OF_FOUR = "2:4"
    """Two of every four neighbours in a row: NVIDIA GPUs since Ampere can skip these zeros."""

    STRUCTURED = "structured"
    """Whole attention heads and whole FFN neurons."""


def pruned_count(numel: int, sparsity: float) -> int:
    """Return how many of ``numel`` weights a sparsity in [0, 1] prunes: the product, cut to int."""
    return int(numel * sparsity)


def keep_highest(
    scores: Sequence[Tensor],
    *,
    sparsity: float,
    scope: Scope = Scope.PER_MATRIX,
    pattern: Pattern = Pattern.UNSTRUCTURED,
) -> list[Tensor]:
    """Return a mask for each matrix of scores that prunes the lowest of them.

    With the 2:4 pattern, a sparsity below 0.5 prunes the lowest scores among those that the
    pattern prunes at 0.5, so that a schedule can approach the pattern step by step.

    Args:
        scores: Scores ``[out, in]``, of one type and on one device, without NaN.
        sparsity: The share to prune: exactly ``int(numel * sparsity)`` entries of each matrix, or
            of all matrices together if the scope is global.
        scope: Between which matrices scores compete.
        pattern: Which sets of weights may be pruned together: any, or 2:4.

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
    """Return the mask of the two highest of every four neighbours in each row.

    Args:
        scores: Scores ``[out, in]``.

    Raises:
        UserError: The length of the rows is not a multiple of four.
    """
    if scores.shape[-1] % GROUP:
        raise UserError(
            f"the 2:4 pattern needs rows whose length is a multiple of 4, not {scores.shape[-1]}"
        )
    groups = scores.reshape(*scores.shape[:-1], -1, GROUP)
    lowest = groups.sort(stable=True).indices[..., : GROUP // 2]
    return torch.ones_like(groups, dtype=torch.bool).scatter_(-1, lowest, value=False).flatten(-2)


def without_lowest(scores: Sequence[Tensor], pruned: int) -> list[Tensor]:
    """Return a mask for each tensor of scores, False at the given number of lowest scores.

    Among equal scores the earlier entry is pruned first (row by row, tensor by tensor), as in a
    stable sort.

    Args:
        scores: Scores of any shapes, of one type and on one device, without NaN. They compete
            across all tensors.
        pruned: How many entries to prune in all.

    Raises:
        ValueError: There are fewer scores.
    """
    flat = [score.flatten() for score in scores]
    count = sum(score.numel() for score in flat)
    if not 0 <= pruned <= count:
        raise ValueError(f"cannot prune {pruned} of {count}")
    if pruned == 0:
        return [torch.ones(score.shape, dtype=torch.bool, device=score.device) for score in scores]
    masks = _search(flat, pruned, *_bracket(flat, share=pruned / count))
    if masks is None:
        masks = _search(flat, pruned, -math.inf, math.inf)
        assert masks is not None  # noqa: S101 - every score lies between the bounds
    return [mask.view(score.shape) for mask, score in zip(masks, scores, strict=True)]


def _search(
    scores: Sequence[Tensor], pruned: int, low: Tensor | float, high: Tensor | float
) -> list[Tensor] | None:
    """Return the masks of flat scores, or None if the threshold is not between the bounds."""
    masks = [score > high for score in scores]
    places = [
        (score < low).logical_or_(mask).logical_not_().nonzero().flatten()
        for score, mask in zip(scores, masks, strict=True)
    ]
    found = sum(place.numel() for place in places)
    above = int(sum(mask.count_nonzero() for mask in masks))
    below = sum(score.numel() for score in scores) - above - found
    if not below <= pruned <= below + found:
        return None
    between = torch.cat([score[place] for score, place in zip(scores, places, strict=True)])
    if below + above:
        stay = without_lowest([between], pruned - below)[0]
    else:
        stay = _without_lowest_of_few(between, pruned)
    parts = torch.split(stay, [place.numel() for place in places])
    for mask, place, part in zip(masks, places, parts, strict=True):
        mask[place] = part
    return masks


def _bracket(scores: Sequence[Tensor], *, share: float) -> tuple[Tensor | float, Tensor | float]:
    """Return two bounds that almost surely enclose the score at a share of the sorted scores."""
    count = sum(score.numel() for score in scores)
    if count < 4 * _SAMPLE:
        return -math.inf, math.inf
    stride = _coprime(count // _SAMPLE)
    sample = torch.cat([score[::stride] for score in scores])
    size = sample.numel()
    slack = 4 * math.sqrt(size * share * (1 - share)) + 2
    low, high = math.floor(share * size - slack), math.ceil(share * size + slack)
    return (
        _kth_lowest(sample, low) if low >= 1 else -math.inf,
        _kth_lowest(sample, high) if high <= size else math.inf,
    )


def _without_lowest_of_few(scores: Tensor, pruned: int) -> Tensor:
    lowest, highest = scores.aminmax()
    threshold = highest if bool(lowest == highest) else _kth_lowest(scores, pruned)
    mask = scores > threshold
    ties = scores.numel() - pruned - int(mask.count_nonzero())
    if ties > 0:
        mask[(scores == threshold).nonzero().flatten()[-ties:]] = True
    return mask


def _kth_lowest(scores: Tensor, k: int) -> Tensor:
    """Return the k-th lowest of a few scores; ``kthvalue`` is not deterministic on a GPU."""
    rest = scores.numel() - k + 1
    if k <= rest:
        return scores.topk(k, largest=False, sorted=False).values.max()
    return scores.topk(rest, sorted=False).values.min()


def _coprime(stride: int) -> int:
    """Return the next stride without a factor 2 or 3, so that no column is sampled too often."""
    while stride % 2 == 0 or stride % 3 == 0:
        stride += 1
    return stride
