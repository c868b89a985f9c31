"""Label smoothing: part of each target is spread evenly over all classes or tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy

from sparsebench.models.families import IGNORED

if TYPE_CHECKING:
    from torch import Tensor


def smoothed_loss(
    task_loss: Tensor,
    outputs: Any,
    labels: Tensor | None,
    *,
    share: float,
    shifts_labels: bool,
) -> Tensor:
    """Return the mean cross-entropy with smoothed targets (arXiv:1512.00567, section 7).

    The loss of a target is ``(1 - share) * -log p(target) + share * mean over all k of -log p(k)``.

    Args:
        task_loss: The loss without smoothing. It is returned where targets have no classes: for a
            regression, and for spans.
        outputs: The model's outputs; logits are ``[batch, classes]`` or ``[batch, tokens, vocab]``.
        labels: The targets ``[batch]`` or ``[batch, tokens]``, some ``IGNORED``; None for spans.
        share: The share that is spread, from 0 to 1.
        shifts_labels: Whether the logits of each token predict the label of the next.
    """
    if labels is None or labels.is_floating_point():
        return task_loss
    logits = outputs["logits"].float()
    if labels.ndim > 1 and shifts_labels:
        logits, labels = logits[:, :-1], labels[:, 1:]
    return cross_entropy(
        logits.reshape(-1, logits.shape[-1]),
        labels.reshape(-1).to(torch.long),
        ignore_index=IGNORED,
        label_smoothing=share,
    )
