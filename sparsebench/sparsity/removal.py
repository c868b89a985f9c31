"""Physical removal of attention heads, feed-forward neurons and whole feed-forward networks.

Everything happens in place, on a live transformers model of any of the four families. Afterwards
the parts are gone: their weights, their arithmetic and their time. Counts may differ from layer to
layer. What is left is what the whole model computes with those parts silenced, to rounding.

The matrices must be plain: fold what was added to them first. An optimizer made before holds
parameters that are no longer in the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from sparsebench.models.anatomy import anatomy_of, family_of
from sparsebench.models.families import Family
from sparsebench.sparsity.replacements import AnyHeads, FewerHeads, NormOnly, Nothing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from sparsebench.models.anatomy import Attention, Block, FeedForward, Matrix

_COUNTS = {
    Family.BERT: ("num_attention_heads", "all_head_size"),
    Family.ROBERTA: ("num_attention_heads", "all_head_size"),
    Family.GPT2: ("num_heads", "split_size"),
    Family.T5: ("n_heads", "inner_dim"),
}
"""Where an attention module keeps its number of heads, and the rows that these have together."""


def remove_heads(model: nn.Module, attention: Attention, heads: Iterable[int] | Tensor) -> None:
    """Removes attention heads: their rows of query, key and value, their columns of the output.

    Args:
        model: The model.
        attention: The attention as ``anatomy_of(model)`` now describes it.
        heads: The heads that go, by their number from 0 among those that are left.

    Raises:
        ValueError: There is no such head, or none would be left.
    """
    kept = _kept(heads, total=attention.heads, kind="head")
    if kept.numel() == attention.heads:
        return
    size = attention.head_size
    channels = (kept[:, None] * size + torch.arange(size, device="cpu")).flatten()
    by_module: dict[str, list[Matrix]] = {}
    for matrix in (attention.query, attention.key, attention.value):
        by_module.setdefault(matrix.path, []).append(matrix)
    for matrices in by_module.values():
        starts = [matrix.rows.start if matrix.rows else 0 for matrix in matrices]
        _keep_rows(model, matrices[0], torch.cat([start + channels for start in starts]))
    _keep_columns(model, attention.output, channels)
    module = model.get_submodule(attention.path)
    count, width = _COUNTS[family := family_of(model.config)]
    setattr(module, count, kept.numel())
    setattr(module, width, channels.numel())
    if family is Family.T5:
        _sort_out_bias(model, attention, kept)


def remove_neurons(model: nn.Module, ffn: FeedForward, neurons: Iterable[int] | Tensor) -> None:
    """Removes inner neurons of a feed-forward network.

    Args:
        model: The model.
        ffn: The network as ``anatomy_of(model)`` now describes it.
        neurons: The neurons that go, by their number from 0 among those that are left.

    Raises:
        ValueError: There is no such neuron, or none would be left: see ``remove_ffn``.
    """
    kept = _kept(neurons, total=ffn.neurons, kind="neuron")
    if kept.numel() == ffn.neurons:
        return
    for matrix in ffn.matrices[:-1]:
        _keep_rows(model, matrix, kept)
    _keep_columns(model, ffn.down, kept)


def remove_ffn(model: nn.Module, block: Block) -> None:
    """Removes the whole feed-forward network of a block; the residual stream passes it by.

    In GPT-2 and T5 the norm before the network goes with it. In BERT and RoBERTa the norm stands
    after the sum with the residual stream and stays.

    Args:
        model: The model.
        block: The block; one that has no network any more is left alone.
    """
    if block.ffn is None:
        return
    module: Any = model.get_submodule(block.path)
    family = family_of(model.config)
    if family is Family.T5:
        module.layer[-1] = nn.Identity()
    elif family is Family.GPT2:
        module.ln_2, module.mlp = nn.Identity(), Nothing()
    else:
        module.intermediate, module.output = nn.Identity(), NormOnly(module.output.LayerNorm)


def _sort_out_bias(model: nn.Module, attention: Attention, kept: Tensor) -> None:
    """Makes T5's attentions cope with a position bias of another number of heads than theirs."""
    if not attention.cross:
        module: Any = model.get_submodule(attention.path)
        kept = kept.to(module.q.weight.device)
        if isinstance(module, FewerHeads):
            kept = module.kept_heads.index_select(0, kept)
        module.__class__ = FewerHeads
        module.register_buffer("kept_heads", kept)
        return
    for block in anatomy_of(model).blocks:
        for other in block.attentions:
            if other.cross:
                model.get_submodule(other.path).__class__ = AnyHeads


def _kept(removed: Iterable[int] | Tensor, *, total: int, kind: str) -> Tensor:
    """Returns the numbers from 0 to ``total`` that are not removed, in order."""
    gone = set(removed.tolist() if isinstance(removed, torch.Tensor) else removed)
    if strange := gone.difference(range(total)):
        raise ValueError(f"no such {kind}: {sorted(strange)} of {total}")
    if len(gone) == total:
        raise ValueError(f"at least one {kind} must stay")
    return torch.tensor([n for n in range(total) if n not in gone], device="cpu")


def _keep_rows(model: nn.Module, matrix: Matrix, rows: Tensor) -> None:
    """Keeps only some output rows of the module that holds a matrix, and of its bias."""
    module: Any = matrix.module(model)
    module.weight = _part(module.weight, rows, dim=1 if matrix.transposed else 0)
    if module.bias is not None:
        module.bias = _part(module.bias, rows, dim=0)
    setattr(module, "nf" if matrix.transposed else "out_features", rows.numel())


def _keep_columns(model: nn.Module, matrix: Matrix, columns: Tensor) -> None:
    """Keeps only some input columns of the module that holds a matrix."""
    module: Any = matrix.module(model)
    module.weight = _part(module.weight, columns, dim=0 if matrix.transposed else 1)
    setattr(module, "nx" if matrix.transposed else "in_features", columns.numel())


def _part(parameter: nn.Parameter, index: Tensor, *, dim: int) -> nn.Parameter:
    part = parameter.detach().index_select(dim, index.to(parameter.device))
    return nn.Parameter(part, requires_grad=parameter.requires_grad)
