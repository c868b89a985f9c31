"""Choosing the masks of a whole model, and making what they prune zero, or go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from sparsebench.sparsity.masked import Masked, fold_masked
from sparsebench.sparsity.masks import Pattern, Scope, keep_highest, pruned_count
from sparsebench.sparsity.parametrized_linear import attached, no_autocast
from sparsebench.sparsity.units import fold_units, has_unit_sparsity, remask_units

if TYPE_CHECKING:
    from torch import nn


@torch.no_grad()
def remask(
    model: nn.Module,
    *,
    sparsity: float,
    scope: Scope = Scope.PER_MATRIX,
    pattern: Pattern = Pattern.UNSTRUCTURED,
) -> None:
    """Chooses all masks of a model again, by the scores as they now are.

    Under the structured pattern heads and neurons are chosen by the norm of their weights,
    whatever the scores of the maps, and the sparsity is the share of heads and of neurons.

    Args:
        model: A model with ``Masked`` maps attached.
        sparsity: The share to prune.
        scope: Where scores compete.
        pattern: Which weights may be pruned together.
    """
    if pattern is Pattern.STRUCTURED:
        remask_units(model, sparsity=sparsity, scope=scope)
        return
    parts = list(attached(model, Masked))
    pools = [parts] if scope is Scope.GLOBAL else [[part] for part in parts]
    for pool in pools:
        with no_autocast(pool[0][0]):
            scores = [change.score(weight) for weight, change in pool]
        masks = keep_highest(scores, sparsity=sparsity, scope=scope, pattern=pattern)
        for (_, change), mask in zip(pool, masks, strict=True):
            change.mask.copy_(mask)


def has_sparsity(
    model: nn.Module,
    sparsity: float,
    *,
    scope: Scope = Scope.PER_MATRIX,
    pattern: Pattern = Pattern.UNSTRUCTURED,
) -> bool:
    """Whether the masks of a model prune exactly the share that is asked for.

    Args:
        model: A model with ``Masked`` maps attached.
        sparsity: The share to prune.
        scope: Whether in each matrix or in all together.
        pattern: Whether weights are counted, or heads and neurons.
    """
    if pattern is Pattern.STRUCTURED:
        return has_unit_sparsity(model, sparsity, scope=scope)
    masks = [change.mask for _, change in attached(model, Masked)]
    kept = torch.stack([mask.count_nonzero() for mask in masks]).tolist()
    sizes = [mask.numel() for mask in masks]
    if scope is Scope.GLOBAL:
        kept, sizes = [sum(kept)], [sum(sizes)]
    return all(n - k == pruned_count(n, sparsity) for n, k in zip(sizes, kept, strict=True))


def prune(model: nn.Module, *, pattern: Pattern = Pattern.UNSTRUCTURED) -> None:
    """Makes a model plain, in place: pruned weights are zero, pruned heads and neurons are gone.

    Args:
        model: A model with ``Masked`` maps attached.
        pattern: The pattern that its masks were chosen in.
    """
    if pattern is Pattern.STRUCTURED:
        fold_units(model)
    else:
        fold_masked(model)
