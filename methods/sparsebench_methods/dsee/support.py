"""Where the sparse part of DSEE's update may differ from zero."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import torch

from sparsebench_methods.dsee.grebsmo import residual

if TYPE_CHECKING:
    from torch import Tensor


class Support(StrEnum):
    """How the positions of the sparse update are chosen."""

    GREBSMO = "grebsmo"
    """Where a low-rank decomposition of the pretrained weight leaves most over."""

    MAGNITUDE = "magnitude"
    """Where the pretrained weight is largest."""

    RANDOM = "random"
    """Anywhere."""

    NONE = "none"
    """Nowhere: the update is of low rank only, which is LoRA."""


def positions(
    weight: Tensor, support: Support, *, entries: int, groups: int, generator: torch.Generator
) -> Tensor:
    """Returns positions in a matrix read row by row, best first.

    The first ``entries`` are the best of the whole matrix. The others stand by: the best
    ``entries`` of every group of rows are there, so that whatever groups are removed, the best of
    what is left are known.

    Args:
        weight: The pretrained matrix ``[out, in]``.
        support: How to choose.
        entries: How many positions are wanted.
        groups: Groups of rows of equal size (attention heads) that may be removed later; 1 if none.
        generator: Draws what is random; on the CPU.
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
