"""Attention heads and feed-forward neurons as units that are pruned whole, and then removed.

While training, a pruned unit is one whose weights are all masked. A head is its rows of query, key
and value and its columns of the output matrix; a neuron is its rows of the matrices into the
network's inner layer and its column of the one out of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from sparsebench.models.anatomy import Attention, FeedForward, anatomy_of
from sparsebench.sparsity.masked import fold_masked
from sparsebench.sparsity.masks import Scope, pruned_count
from sparsebench.sparsity.removal import remove_heads, remove_neurons
from sparsebench.sparsity.selection import without_lowest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from sparsebench.models.anatomy import Matrix
    from sparsebench.sparsity.masked import Masked


@dataclass(frozen=True)
class _Units:
    """The heads of one attention, or the neurons of one feed-forward network."""

    part: Attention | FeedForward
    count: int
    size: int
    by_row: tuple[Matrix, ...]
    by_column: Matrix

    def norms(self, model: nn.Module) -> Tensor:
        """Returns the norm of all the weights of each unit ``[count]``."""
        rows = [matrix.weight(model) for matrix in self.by_row]
        columns = self.by_column.weight(model).T
        squares = [part.reshape(self.count, -1).square().sum(1) for part in (*rows, columns)]
        return torch.stack(squares).sum(0).sqrt()

    def kept(self, model: nn.Module) -> Tensor:
        """Returns which units are not pruned, boolean ``[count]``."""
        columns = _map(model, self.by_column).mask.T
        return columns.reshape(self.count, -1).any(1)

    def keep(self, model: nn.Module, kept: Tensor) -> None:
        """Prunes the other units, given ``kept`` as boolean ``[count]``."""
        channels = kept.repeat_interleave(self.size)
        for matrix in self.by_row:
            _map(model, matrix).mask.copy_(channels[:, None])
        _map(model, self.by_column).mask.copy_(channels)


@torch.no_grad()
def remask_units(model: nn.Module, *, sparsity: float, scope: Scope) -> None:
    """Masks the attention heads and the neurons of smallest norm, but for one in each layer.

    Args:
        model: A model with ``Masked`` maps on every matrix of its blocks.
        sparsity: The share of heads that is pruned, and of neurons.
        scope: Whether units compete within each layer, or across all.
    """
    for pool in _pools(model, scope):
        norms = [units.norms(model) for units in pool]
        for norm in norms:
            norm[norm.argmax()] = torch.inf
        masks = without_lowest(norms, _asked(pool, sparsity))
        for units, mask in zip(pool, masks, strict=True):
            units.keep(model, mask)


def has_unit_sparsity(model: nn.Module, sparsity: float, *, scope: Scope) -> bool:
    """Whether exactly the share of heads and of neurons is pruned that is asked for."""
    return all(_pruned(pool, model) == _asked(pool, sparsity) for pool in _pools(model, scope))


def fold_units(model: nn.Module) -> None:
    """Folds the masks into the weights, and removes the pruned heads and neurons, in place."""
    gone = [
        (units.part, units.kept(model).logical_not().nonzero().flatten())
        for pool in _pools(model, Scope.PER_MATRIX)
        for units in pool
    ]
    fold_masked(model)
    for part, numbers in gone:
        if isinstance(part, Attention):
            remove_heads(model, part, numbers)
        else:
            remove_neurons(model, part, numbers)


def _pools(model: nn.Module, scope: Scope) -> list[list[_Units]]:
    """Returns the units that compete with each other; heads and neurons never do."""
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


def _asked(pool: Sequence[_Units], sparsity: float) -> int:
    total = sum(units.count for units in pool)
    return min(pruned_count(total, sparsity), total - len(pool))


def _pruned(pool: Sequence[_Units], model: nn.Module) -> int:
    return sum(int(units.kept(model).logical_not().sum()) for units in pool)


def _map(model: nn.Module, matrix: Matrix) -> Masked:
    holder: Any = matrix.module(model)
    change: Masked = holder.maps[matrix.role.value]
    return change
