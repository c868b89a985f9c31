"""What a model answers, as tensors that can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

_ANSWERS = ("logits", "start_logits", "end_logits")


def answers(output: Any) -> tuple[torch.Tensor, ...]:
    """Returns the logits of a model's output; of a span, those of start and end.

    Args:
        output: What a model returned: a tensor, or a mapping that has them.
    """
    if isinstance(output, torch.Tensor):
        return (output,)
    return tuple(output[name] for name in _ANSWERS if name in output)


def largest_difference(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> float:
    """Returns the largest difference of two answers, as a share of the largest entry of ``one``."""
    pairs = [(a.double(), b.double()) for a, b in zip(one, other, strict=True)]
    difference = max(float((a - b).abs().max()) for a, b in pairs)
    return difference / (max(float(a.abs().max()) for a, _ in pairs) or 1.0)


def relative_error(
    exact: Sequence[torch.Tensor], other: Sequence[torch.Tensor], *, mask: torch.Tensor | None
) -> float:
    """Returns the norm of the difference over the norm of ``exact``.

    Args:
        exact: Answers.
        other: Answers to hold against them.
        mask: Boolean ``[batch, tokens]``; answers of this shape in their first axes are compared
            where it is True.
    """
    pairs = [(_real(a, mask).double(), _real(b, mask).double()) for a, b in zip(exact, other)]  # noqa: B905
    squared = sum(float((a - b).square().sum()) for a, b in pairs)
    whole = sum(float(a.square().sum()) for a, _ in pairs)
    return float((squared / whole) ** 0.5) if whole else 0.0


def _real(answer: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    if mask is None or answer.shape[: mask.dim()] != mask.shape:
        return answer
    return answer[mask]
