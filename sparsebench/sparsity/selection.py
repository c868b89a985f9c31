"""Finding the lowest of many scores, exactly, without sorting them.

A sample of the scores says between which two bounds the threshold lies. What is above them stays,
what is below goes, and the search goes on among the few per cent between. Every score is read a
few times, however many tensors hold them, on a CPU as on a GPU.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_SAMPLE = 2**13
"""The size of the sample; of fewer scores than four times as many, all are searched."""


def without_lowest(scores: Sequence[Tensor], pruned: int) -> list[Tensor]:
    """Returns a mask for each tensor of scores, False at exactly so many of the lowest of all.

    Among equal scores the earlier entry goes first (row by row, tensor by tensor), just as a
    stable sort would have it.

    Args:
        scores: Scores of any shapes, of one type and on one device, with no NaN in them.
        pruned: How many entries go.

    Raises:
        ValueError: There are not so many.
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
    """Returns the masks of flat scores, or None if the threshold is not between the bounds."""
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
    """Returns two bounds; the score at that share of the order is almost surely between them."""
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
    """Returns the k-th lowest of a few scores; ``kthvalue`` is not deterministic on a GPU."""
    rest = scores.numel() - k + 1
    if k <= rest:
        return scores.topk(k, largest=False, sorted=False).values.max()
    return scores.topk(rest, sorted=False).values.min()


def _coprime(stride: int) -> int:
    """Returns the next stride without a factor 2 or 3, so that no column is sampled too often."""
    while stride % 2 == 0 or stride % 3 == 0:
        stride += 1
    return stride
