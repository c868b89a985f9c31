"""Comparing what models answer and hold, and saying in a line where they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import nn

    from sparsebench.conformance.run_trace import Outputs

TOLERANCE = 1e-4
"""The most that answers may differ which are the same but for rounding, by the largest logit."""


def difference(found: Outputs, wanted: Outputs, *, tolerance: float = TOLERANCE) -> str:
    """Returns how far answers are apart; nothing if no farther than the tolerance."""
    shapes = [list(tensor.shape) for tensor in found], [list(tensor.shape) for tensor in wanted]
    if shapes[0] != shapes[1]:
        return f"the logits have the shapes {shapes[0]}, not {shapes[1]}"
    scale = max(1.0, *(tensor.abs().max().item() for tensor in wanted))
    apart = max(float((a - b).abs().max()) for a, b in zip(found, wanted, strict=True))
    return "" if apart <= tolerance * scale else f"logits differ by up to {apart:.2g}"


def state_difference(one: nn.Module, other: nn.Module) -> str:
    """Returns which tensors of two models differ in any bit; nothing if none does."""
    mine, yours = one.state_dict(), other.state_dict()
    if odd := mine.keys() ^ yours.keys():
        return f"only one of them has {some(odd)}"
    unequal = [name for name in mine if not torch.equal(mine[name], yours[name])]
    return f"{some(unequal)} differ" if unequal else ""


def some(names: Collection[str], *, limit: int = 2) -> str:
    """Returns the first names in order, and how many there are besides."""
    shown = ", ".join(sorted(names)[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
