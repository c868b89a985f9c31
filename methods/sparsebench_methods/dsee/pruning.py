"""Pruning between the two stages of DSEE: weights in two pools, or heads and neurons."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import torch
from torch import nn

from sparsebench.models import ModuleWrapper, Role, anatomy_of, unwrap
from sparsebench.sparsity.branches import attach_branches, branches, detach_branches
from sparsebench.sparsity.masks import Scope, keep_highest
from sparsebench.sparsity.removal import remove_heads, remove_neurons
from sparsebench.sparsity.sparse_update import LowRankAndSparse

if TYPE_CHECKING:
    from torch import Tensor

    from sparsebench import Anatomy
    from sparsebench.models import Attention, Matrix


class Score(StrEnum):
    """The scores that rank the weights of the adapted matrices, query and value."""

    UPDATE = "update"
    """``|B A + S2|``, as in the authors' scripts."""

    WEIGHT = "weight"
    """``|W|``, as in the other matrices."""

    MERGED = "merged"
    """``|W + s (B A + S2)|``, as in the paper's Algorithm 2."""


class Scaled(ModuleWrapper):
    """A linear module whose inputs are multiplied by learned coefficients, 1 at first.

    A factor of the attention probabilities of a head is a factor of the inputs that the output
    projection gets from the head. A factor of a neuron's activation is a factor of one input of the
    second matrix of the FFN. Both are coefficients of a linear module, whatever kernel computes the
    attention.

    Args:
        inner: The ``Linear`` or ``Conv1D``.
        matrix: The matrix of the module.
        groups: The number of coefficients; each multiplies a group of neighbouring inputs.
    """

    def __init__(self, inner: nn.Module, matrix: Matrix, *, groups: int) -> None:
        super().__init__(inner)
        self.matrix = matrix
        weight = matrix.view(inner.weight)  # type: ignore[arg-type]
        self.size = weight.shape[1] // groups
        self.coefficients = nn.Parameter(torch.ones(groups, device=weight.device))

    def factors(self) -> Tensor:
        """Return the factor of each input ``[in]``."""
        return self.coefficients.repeat_interleave(self.size)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs of the module inside for the scaled inputs."""
        outputs: Tensor = self.inner(inputs * self.factors().to(inputs.dtype))
        return outputs


def add_coefficients(model: nn.Module, anatomy: Anatomy) -> None:
    """Give every head and every neuron of a model a coefficient, in place."""
    for block in anatomy.blocks:
        outputs = [(attention.output, attention.heads) for attention in block.attentions]
        if block.ffn is not None:
            outputs.append((block.ffn.down, block.ffn.neurons))
        for matrix, groups in outputs:
            scaled = Scaled(matrix.module(model), matrix, groups=groups)
            model.set_submodule(matrix.path, scaled)


def coefficients(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the coefficients of a model, by the path of the matrix that they scale."""
    return {m.matrix.path: m.coefficients for m in model.modules() if isinstance(m, Scaled)}


@torch.no_grad()
def fold_coefficients(model: nn.Module) -> None:
    """Multiply the coefficients into their matrices and take them off, in place."""
    for scaled in unwrap(model, Scaled):
        weight = scaled.matrix.view(scaled.inner.weight)  # type: ignore[arg-type]
        weight.mul_(scaled.factors())


@torch.no_grad()
def prune_weights(model: nn.Module, *, sparsity: float, score: Score) -> None:
    """Set the lowest weights of both pools to zero; they are frozen, and stay zero.

    One pool is the matrices with an update. The other one is the other matrices of the blocks and
    the pooler, ranked by magnitude.

    Args:
        model: The training view.
        sparsity: The share of each pool to prune: exactly ``int(share * weights)`` of them.
        score: The score of the weights of the matrices with an update.
    """
    updates = branches(model, LowRankAndSparse)
    adapted = [matrix.weight(model) for matrix in updates]
    scores = [_score(matrix.weight(model), update, score) for matrix, update in updates.items()]
    others = _other_weights(model, updates)
    for weights, ranks in ((adapted, scores), (others, [weight.abs() for weight in others])):
        masks = keep_highest(ranks, sparsity=sparsity, scope=Scope.GLOBAL)
        for weight, mask in zip(weights, masks, strict=True):
            weight.mul_(mask)


def _score(weight: Tensor, update: LowRankAndSparse, score: Score) -> Tensor:
    if score is Score.WEIGHT:
        return weight.abs()
    if score is Score.UPDATE:
        return update.delta().abs()
    return (weight + update.delta()).abs()


def _other_weights(model: nn.Module, updates: dict[Matrix, LowRankAndSparse]) -> list[Tensor]:
    matrices = [matrix for matrix in anatomy_of(model).matrices() if matrix not in updates]
    poolers = [
        module.dense.weight
        for name, module in model.named_modules()
        if name.rpartition(".")[2] == "pooler"
    ]
    return [*(matrix.weight(model) for matrix in matrices), *poolers]


@torch.no_grad()
def prune_parts(
    model: nn.Module, *, head_share: float, neuron_share: float
) -> dict[str, tuple[int, int]]:
    """Remove heads and neurons, and fold the coefficients.

    Args:
        model: The training view.
        head_share: The share of every attention's heads to remove, those with the smallest update;
            rounded to whole heads.
        neuron_share: The share of all neurons to remove, those with the lowest coefficients.

    Returns:
        The removed heads and neurons, each with their number before.
    """
    before = anatomy_of(model).blocks
    heads = {
        attention.path: _least_updated(model, attention, share=head_share)
        for block in before
        for attention in block.attentions
    }
    neurons = _lowest_neurons(model, share=neuron_share)
    fold_coefficients(model)
    updates = branches(model, LowRankAndSparse)
    detach_branches(model)
    anatomy = anatomy_of(model)
    for block in anatomy.blocks:
        if block.ffn is not None:
            remove_neurons(model, block.ffn, neurons[block.path])
        for attention in block.attentions:
            removed = heads[attention.path]
            remove_heads(model, attention, removed)
            rows = _rows_left(attention, removed)
            for matrix in (attention.query, attention.value):
                updates[matrix].keep_rows(rows)
    _reattach(model, updates)
    head_count = sum(attention.heads for block in before for attention in block.attentions)
    return {
        "heads": (sum(map(len, heads.values())), head_count),
        "neurons": (sum(map(len, neurons.values())), sum(b.ffn.neurons for b in before if b.ffn)),
    }


def _least_updated(model: nn.Module, attention: Attention, *, share: float) -> list[int]:
    """Return the heads to remove from an attention; at least one stays."""
    updates = branches(model, LowRankAndSparse)
    deltas = [updates[matrix].delta() for matrix in (attention.query, attention.value)]
    scores = sum(d.abs().reshape(attention.heads, -1).sum(1) for d in deltas)
    count = min(round(share * attention.heads), attention.heads - 1)
    order: list[int] = scores.argsort(stable=True).tolist()  # type: ignore[union-attr]
    return order[:count]


def _lowest_neurons(model: nn.Module, *, share: float) -> dict[str, list[int]]:
    """Return the neurons to remove, by block; the best of every block stays.

    Among equal coefficients the neuron with the lower number in its block is removed first, so that
    all blocks lose as many if no coefficient was learned.
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
    removed: dict[str, list[int]] = {block.path: [] for block in blocks}
    for _, neuron, path in sorted(ranked)[: round(share * total)]:
        removed[path].append(neuron)
    return removed


def _rows_left(attention: Attention, removed: list[int]) -> Tensor:
    left = torch.tensor([head for head in range(attention.heads) if head not in removed])
    return (left[:, None] * attention.head_size + torch.arange(attention.head_size)).flatten()


def _reattach(model: nn.Module, updates: dict[Matrix, LowRankAndSparse]) -> None:
    """Attach updates to their matrices again, whose rows in a fused module have changed."""
    now = {matrix.name: matrix for matrix in anatomy_of(model).matrices(Role.QUERY, Role.VALUE)}
    attach_branches(model, {now[matrix.name]: update for matrix, update in updates.items()})
