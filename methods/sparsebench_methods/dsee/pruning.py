"""What DSEE prunes between its two stages: weights by two pools, or heads and neurons."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import torch

from sparsebench.models import Role, anatomy_of
from sparsebench.sparsity.branches import attach_branches, branches, detach_branches
from sparsebench.sparsity.masks import Scope, keep_highest
from sparsebench.sparsity.removal import remove_heads, remove_neurons
from sparsebench_methods.dsee.coefficients import coefficients, fold
from sparsebench_methods.dsee.update import Update

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sparsebench.models import Attention, Matrix


class Score(StrEnum):
    """What the weights of the adapted matrices, query and value, are ranked by."""

    UPDATE = "update"
    """``|B A + S2|``, as in the authors' scripts."""

    WEIGHT = "weight"
    """``|W|``, as everywhere else."""

    MERGED = "merged"
    """``|W + s (B A + S2)|``, as in the paper's Algorithm 2."""


@torch.no_grad()
def prune_weights(model: nn.Module, *, sparsity: float, score: Score) -> None:
    """Sets the lowest weights of both pools to zero; frozen as they are, they stay zero.

    The matrices with an update are ranked among themselves; the other matrices of the blocks and
    the pooler, by magnitude, are the other pool.

    Args:
        model: The training view.
        sparsity: The share of each pool that goes: exactly ``int(share * weights)`` of them.
        score: What the matrices with an update are ranked by.
    """
    updates = branches(model, Update)
    adapted = [matrix.weight(model) for matrix in updates]
    scores = [_score(matrix.weight(model), update, score) for matrix, update in updates.items()]
    others = _other_weights(model, updates)
    for weights, ranks in ((adapted, scores), (others, [weight.abs() for weight in others])):
        masks = keep_highest(ranks, sparsity=sparsity, scope=Scope.GLOBAL)
        for weight, mask in zip(weights, masks, strict=True):
            weight.mul_(mask)


def _score(weight: Tensor, update: Update, score: Score) -> Tensor:
    if score is Score.WEIGHT:
        return weight.abs()
    if score is Score.UPDATE:
        return update.delta().abs()
    return (weight + update.delta()).abs()


def _other_weights(model: nn.Module, updates: dict[Matrix, Update]) -> list[Tensor]:
    matrices = [matrix for matrix in anatomy_of(model).matrices() if matrix not in updates]
    poolers = [
        module.dense.weight
        for name, module in model.named_modules()
        if name.rpartition(".")[2] == "pooler"
    ]
    return [*(matrix.weight(model) for matrix in matrices), *poolers]


@torch.no_grad()
def prune_parts(model: nn.Module, *, head_share: float, neuron_share: float) -> None:
    """Removes heads and neurons, and folds the coefficients that told which.

    Args:
        model: The training view.
        head_share: The share of every attention's heads that goes: those with the least update.
        neuron_share: The share of all neurons that goes: those with the lowest coefficients.
    """
    heads = {
        attention.path: _least_updated(model, attention, share=head_share)
        for block in anatomy_of(model).blocks
        for attention in block.attentions
    }
    neurons = _lowest_neurons(model, share=neuron_share)
    fold(model)
    updates = branches(model, Update)
    detach_branches(model)
    anatomy = anatomy_of(model)
    for block in anatomy.blocks:
        if block.ffn is not None:
            remove_neurons(model, block.ffn, neurons[block.path])
        for attention in block.attentions:
            gone = heads[attention.path]
            remove_heads(model, attention, gone)
            rows = _rows_left(attention, gone)
            for matrix in (attention.query, attention.value):
                updates[matrix].keep_rows(rows)
    _reattach(model, updates)


def _least_updated(model: nn.Module, attention: Attention, *, share: float) -> list[int]:
    """Returns the heads to remove from an attention, one at least staying."""
    updates = branches(model, Update)
    deltas = [updates[matrix].delta() for matrix in (attention.query, attention.value)]
    scores = sum(d.abs().reshape(attention.heads, -1).sum(1) for d in deltas)
    count = min(round(share * attention.heads), attention.heads - 1)
    order: list[int] = scores.argsort(stable=True).tolist()  # type: ignore[union-attr]
    return order[:count]


def _lowest_neurons(model: nn.Module, *, share: float) -> dict[str, list[int]]:
    """Returns the neurons to remove, by block; the best of every block stays.

    Among equal coefficients the neuron with the lower number in its block goes first, so that no
    block loses more than the others where nothing was learned.
    """
    learned = coefficients(model)
    blocks = [block for block in anatomy_of(model).blocks if block.ffn is not None]
    ranked: list[tuple[float, int, str]] = []
    for block in blocks:
        assert block.ffn is not None  # noqa: S101 - narrows the type
        values = learned[block.ffn.down.path].abs().tolist()
        best = values.index(max(values))
        ranked += [(v, n, block.path) for n, v in enumerate(values) if n != best]
    total = len(ranked) + len(blocks)
    gone: dict[str, list[int]] = {block.path: [] for block in blocks}
    for _, neuron, path in sorted(ranked)[: round(share * total)]:
        gone[path].append(neuron)
    return gone


def _rows_left(attention: Attention, gone: list[int]) -> Tensor:
    left = torch.tensor([head for head in range(attention.heads) if head not in gone])
    return (left[:, None] * attention.head_size + torch.arange(attention.head_size)).flatten()


def _reattach(model: nn.Module, updates: dict[Matrix, Update]) -> None:
    """Puts updates back beside their matrices, whose rows are others now in a fused module."""
    now = {matrix.name: matrix for matrix in anatomy_of(model).matrices(Role.QUERY, Role.VALUE)}
    attach_branches(model, {now[matrix.name]: update for matrix, update in updates.items()})
