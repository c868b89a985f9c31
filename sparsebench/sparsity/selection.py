"""Finding the k-th lowest of many values, exactly, without sorting them.

A sample of the values says between which two bounds the answer lies; one pass counts what is
below and gathers what is between, and the search goes on in those few per cent. Every value is
read a handful of times, however many tensors hold them, on a CPU as on a GPU.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_FEW = 2**15
"""So many values are searched as they are."""

_SAMPLE = 2**13
"""The size of the sample that brackets the answer."""


def kth_lowest(values: Sequence[Tensor], k: int) -> Tensor:
    """Returns the k-th lowest value over several tensors, as a tensor with no dimension.

    Args:
        values: Tensors of any shapes, of one type and on one device, with no NaN in them.
        k: From 1 for the lowest to the number of all values for the highest.

    Raises:
        ValueError: There is no such value.
    """
    count = sum(value.numel() for value in values)
    if not 1 <= k <= count:
        raise ValueError(f"there is no {k}-th lowest of {count} values")
    if count > _FEW:
        low, high = _bracket(values, share=k / count)
        lower = [value < low for value in values]
        below = int(sum(torch.count_nonzero(part) for part in lower))
        inside = [
            value[(value > high).logical_or_(part).logical_not_()]
            for value, part in zip(values, lower, strict=True)
        ]
        found = sum(part.numel() for part in inside)
        if below < k <= below + found and bool(low == high):
            return low
        if below < k <= below + found < count + below:
            return kth_lowest(inside, k - below)
    return _select(torch.cat([value.flatten() for value in values]), k)


def _bracket(values: Sequence[Tensor], *, share: float) -> tuple[Tensor, Tensor]:
    """Returns two bounds; the value at that share of the order is almost surely between them."""
    count = sum(value.numel() for value in values)
    stride = _coprime(count // _SAMPLE)
    sample = torch.cat([value.flatten()[::stride] for value in values])
    size = sample.numel()
    slack = 4 * math.sqrt(size * share * (1 - share)) + 2
    low, high = math.floor(share * size - slack), math.ceil(share * size + slack)
    infinity = sample.new_tensor(math.inf)
    return (
        _select(sample, low) if low >= 1 else -infinity,
        _select(sample, high) if high <= size else infinity,
    )


def _select(values: Tensor, k: int) -> Tensor:
    """Returns the k-th lowest of a few values; ``kthvalue`` is not deterministic on a GPU."""
    rest = values.numel() - k + 1
    if k <= rest:
        return values.topk(k, largest=False, sorted=False).values.max()
    return values.topk(rest, sorted=False).values.min()


def _coprime(stride: int) -> int:
    """Returns the next stride without a factor 2 or 3, so that no column is sampled too often."""
    while stride % 2 == 0 or stride % 3 == 0:
        stride += 1
    return stride
