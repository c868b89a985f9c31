"""Choosing the masks of a whole model, and pruning it for good.

The structured pattern prunes units: attention heads and FFN neurons. In training, a pruned unit is
one whose weights are all masked. The weights of a head are its rows of query, key and value and its
columns of the output matrix; those of a neuron are its rows of the matrices into the inner layer
of the FFN and its column of the matrix out of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from sparsebench.models import Attention, FeedForward, anatomy_of
from sparsebench.sparsity.masked import Masked, fold_masked
from sparsebench.sparsity.masks import Pattern, Scope, keep_highest, pruned_count, without_lowest
from sparsebench.sparsity.parametrized_linear import attached, no_autocast
from sparsebench.sparsity.removal import remove_heads, remove_neurons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from sparsebench.models.anatomy import Matrix

_EXACT = 0.0005
"""A smaller difference between two shares is not reported."""


@torch.no_grad()
def remask(
    model: nn.Module,
    *,
    sparsity: float,
    scope: Scope = Scope.PER_MATRIX,
    pattern: Pattern = Pattern.UNSTRUCTURED,
) -> None:
    """Choose all masks of a model again, by the current scores.

    The structured pattern ranks heads and neurons by the norm of their weights, whatever the scores
    of the maps, and the sparsity is the share of heads and of neurons.

    Args:
        model: A model with ``Masked`` maps attached.
        sparsity: The share to prune.
        scope: Between which matrices scores compete.
        pattern: Which weights may be pruned together.
    """
    if pattern is Pattern.STRUCTURED:
        _remask_units(model, sparsity=sparsity, scope=scope)
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
    """Whether the masks of a model prune exactly the given share.

    Args:
        model: A model with ``Masked`` maps attached.
        sparsity: The share.
        scope: Whether of each matrix or of all together.
        pattern: Whether weights are counted, or heads and neurons.
    """
    if pattern is Pattern.STRUCTURED:
        pools = _pools(model, scope)
        return all(_pruned(pool, model) == _requested(pool, sparsity) for pool in pools)
    masks = [change.mask for _, change in attached(model, Masked)]
    kept = torch.stack([mask.count_nonzero() for mask in masks]).tolist()
    sizes = [mask.numel() for mask in masks]
    if scope is Scope.GLOBAL:
        kept, sizes = [sum(kept)], [sum(sizes)]
    return all(n - k == pruned_count(n, sparsity) for n, k in zip(sizes, kept, strict=True))


def prune(model: nn.Module, *, pattern: Pattern = Pattern.UNSTRUCTURED) -> None:
    """Prune a model for good, in place: zero the pruned weights, remove pruned heads and neurons.

    The maps are folded and taken off.

    Args:
        model: A model with ``Masked`` maps attached.
        pattern: The pattern that the masks were chosen with.
    """
    if pattern is Pattern.STRUCTURED:
        _fold_units(model)
    else:
        fold_masked(model)


def rounding_remarks(
    model: nn.Module, sparsity: float, *, scope: Scope = Scope.PER_MATRIX
) -> tuple[str, ...]:
    """Return remarks on how the structured pattern rounds a sparsity, if it does.

    Args:
        model: A model with ``Masked`` maps attached, not yet pruned.
        sparsity: The requested share of heads and of neurons.
        scope: The scope of the pattern.
    """
    remarks = []
    for kind, part in (("heads", Attention), ("neurons", FeedForward)):
        pools = [pool for pool in _pools(model, scope) if isinstance(pool[0].part, part)]
        removed = sum(_pruned(pool, model) for pool in pools)
        total = sum(units.count for pool in pools for units in pool)
        remarks.append(rounding_remark(kind, sparsity, removed=removed, total=total))
    return tuple(remark for remark in remarks if remark)


def rounding_remark(kind: str, share: float, *, removed: int, total: int) -> str | None:
    """Return a remark if the removed parts are not the requested share, to 0.1 %; else None.

    Args:
        kind: The parts, such as ``"heads"``.
        share: The requested share.
        removed: How many parts are removed.
        total: How many parts there were.
    """
    actual = removed / total if total else share
    if abs(actual - share) < _EXACT:
        return None
    return f"removes {actual:.1%} of the {kind} ({removed} of {total}), not {share:.1%}: rounded"


@dataclass(frozen=True)
class _Units:
    """The heads of one attention, or the neurons of one FFN.

    Attributes:
        part: The attention or the FFN.
        count: How many units it has.
        size: Columns of ``by_column`` that belong to one unit.
        by_row: Matrices in which a unit is a group of rows.
        by_column: The matrix in which a unit is a group of columns.
    """

    part: Attention | FeedForward
    count: int
    size: int
    by_row: tuple[Matrix, ...]
    by_column: Matrix

    def norms(self, model: nn.Module) -> Tensor:
        """Return the norm of all the weights of each unit ``[count]``."""
        rows = [matrix.weight(model) for matrix in self.by_row]
        columns = self.by_column.weight(model).T
        squares = [part.reshape(self.count, -1).square().sum(1) for part in (*rows, columns)]
        return torch.stack(squares).sum(0).sqrt()

    def kept(self, model: nn.Module) -> Tensor:
        """Return which units are not pruned, boolean ``[count]``."""
        columns = _map(model, self.by_column).mask.T
        return columns.reshape(self.count, -1).any(1)

    def keep(self, model: nn.Module, kept: Tensor) -> None:
        """Mask all units but those in ``kept``, boolean ``[count]``."""
        channels = kept.repeat_interleave(self.size)
        for matrix in self.by_row:
            _map(model, matrix).mask.copy_(channels[:, None])
        _map(model, self.by_column).mask.copy_(channels)


def _remask_units(model: nn.Module, *, sparsity: float, scope: Scope) -> None:
    """Mask the heads and neurons of smallest norm; at least one of each layer stays."""
    for pool in _pools(model, scope):
        norms = [units.norms(model) for units in pool]
        for norm in norms:
            norm[norm.argmax()] = torch.inf
        masks = without_lowest(norms, _requested(pool, sparsity))
        for units, mask in zip(pool, masks, strict=True):
            units.keep(model, mask)


def _fold_units(model: nn.Module) -> None:
    """Fold the masks into the weights, and remove the pruned heads and neurons, in place."""
    pruned = [
        (units.part, units.kept(model).logical_not().nonzero().flatten())
        for pool in _pools(model, Scope.PER_MATRIX)
        for units in pool
    ]
    fold_masked(model)
    for part, numbers in pruned:
        if isinstance(part, Attention):
            remove_heads(model, part, numbers)
        else:
            remove_neurons(model, part, numbers)


def _pools(model: nn.Module, scope: Scope) -> list[list[_Units]]:
    """Return the pools of units that compete; heads never compete with neurons."""
    heads: list[_Units] = []
    neurons: list[_Units] = []
    for block in anatomy_of(model).blocks:
        for attention in block.attentions:
            *rows, out = attention.matrices
            size = attention.head_size
            heads.append(_Units(attention, attention.heads, size, tuple(rows), out))
        if block.ffn:
            *rows, out = block.ffn.matrices
            neurons.append(_Units(block.ffn, block.ffn.neurons, 1, tuple(rows), out))
    if scope is Scope.GLOBAL:
        return [pool for pool in (heads, neurons) if pool]
    return [[units] for units in (*heads, *neurons)]


def _requested(pool: Sequence[_Units], sparsity: float) -> int:
    total = sum(units.count for units in pool)
    return min(pruned_count(total, sparsity), total - len(pool))


def _pruned(pool: Sequence[_Units], model: nn.Module) -> int:
    return sum(int(units.kept(model).logical_not().sum()) for units in pool)


def _map(model: nn.Module, matrix: Matrix) -> Masked:
    holder: Any = matrix.module(model)
    change: Masked = holder.maps[matrix.role.value]
    return change
