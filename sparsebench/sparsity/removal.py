"""Physical removal of attention heads, FFN neurons and whole FFNs, and the record of it.

A removal changes a transformers model of any of the four families in place, and its weights, its
arithmetic and its time are saved. Layers may keep different numbers of parts. To rounding, the
reduced model computes what the whole one computes with the outputs of those parts set to zero.

The matrices must be plain: fold maps and branches first. An optimizer created before a removal
holds parameters that are no longer in the model.

The record of a removal lets a saved model be built again. It names every block that differs from
the model's configuration, with the remaining heads of each of its attentions and the remaining
neurons of its FFN, None where the FFN was removed::

    {"bert.encoder.layer.0": {"heads": [9], "neurons": 1843},
     "bert.encoder.layer.1": {"heads": [12], "neurons": None}}

A record holds shapes only. Where T5's shared position bias needs to know which heads remain, that
is a buffer beside the weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from pydantic import NonNegativeInt, TypeAdapter, ValidationError
from torch import nn

from sparsebench.errors import UserError
from sparsebench.models import Family
from sparsebench.models.families import FAMILIES, anatomy_of, family_of
from sparsebench.schema.base import FrozenModel
from sparsebench.sparsity.replacements import AnyHeads, FewerHeads, NormOnly, ZeroOutput

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from sparsebench.models.anatomy import Attention, Block, FeedForward, Matrix


class RemainingParts(FrozenModel):
    """The remaining heads and neurons of one block."""

    heads: list[NonNegativeInt]
    """The number of heads of each attention."""

    neurons: NonNegativeInt | None
    """The number of neurons of the FFN; None where the FFN was removed."""


_RECORD = TypeAdapter(dict[str, RemainingParts])


def remove_heads(model: nn.Module, attention: Attention, heads: Iterable[int] | Tensor) -> None:
    """Remove attention heads: their rows of query, key and value, their columns of the output.

    Args:
        model: The model.
        attention: The attention as ``anatomy_of(model)`` currently describes it.
        heads: The numbers of the heads to remove, from 0, among the current heads.

    Raises:
        ValueError: There is no such head, or none would remain.
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
    family = family_of(model.config)
    count, width = FAMILIES.get(family).head_counts
    setattr(module, count, kept.numel())
    setattr(module, width, channels.numel())
    if family == Family.T5:
        _match_position_bias(model, attention, kept)


def remove_neurons(model: nn.Module, ffn: FeedForward, neurons: Iterable[int] | Tensor) -> None:
    """Remove inner neurons of an FFN.

    Args:
        model: The model.
        ffn: The FFN as ``anatomy_of(model)`` currently describes it.
        neurons: The numbers of the neurons to remove, from 0, among the current neurons.

    Raises:
        ValueError: There is no such neuron, or none would remain: see ``remove_ffn``.
    """
    kept = _kept(neurons, total=ffn.neurons, kind="neuron")
    if kept.numel() == ffn.neurons:
        return
    for matrix in ffn.matrices[:-1]:
        _keep_rows(model, matrix, kept)
    _keep_columns(model, ffn.down, kept)


def remove_ffn(model: nn.Module, block: Block) -> None:
    """Remove the whole FFN of a block; the residual stream bypasses it.

    In GPT-2 and T5 the norm before the FFN is removed too. In BERT and RoBERTa the norm follows the
    sum with the residual stream, and stays.

    Args:
        model: The model.
        block: The block; without an FFN it stays as it is.

    Raises:
        UserError: The family is not one of the package.
    """
    if block.ffn is None:
        return
    module: Any = model.get_submodule(block.path)
    family = family_of(model.config)
    if family == Family.T5:
        module.layer[-1] = nn.Identity()
    elif family == Family.GPT2:
        module.ln_2, module.mlp = nn.Identity(), ZeroOutput()
    elif family in (Family.BERT, Family.ROBERTA):
        module.intermediate, module.output = nn.Identity(), NormOnly(module.output.LayerNorm)
    else:
        raise UserError(f"removing a whole FFN is not supported for models of type {family!r}")


def removal_record(model: nn.Module) -> dict[str, Any]:
    """Return the record of a plain transformers model; empty if nothing was removed.

    Args:
        model: The model; its configuration describes the whole one.

    Returns:
        The remaining parts of every block that lost a part, by the block's path, ready for JSON.
    """
    build: Any = type(model)
    with torch.device("meta"):
        whole = anatomy_of(build(model.config))
    pairs = zip(anatomy_of(model).blocks, whole.blocks, strict=True)
    return {
        block.path: _remaining(block).model_dump()
        for block, full in pairs
        if _remaining(block) != _remaining(full)
    }


def apply_record(model: nn.Module, record: object) -> None:
    """Reduce a freshly built model to the shapes of a record, in place.

    The values of the remaining weights have no meaning: load the saved ones afterwards.

    Args:
        model: A model as its configuration describes it.
        record: The value of ``removal_record``, or the same read from JSON.

    Raises:
        UserError: This is no record, or it does not fit the model.
    """
    try:
        left = _RECORD.validate_python(record)
    except ValidationError as error:
        raise UserError(f"not a record of removed parts: {error}") from None
    blocks = {block.path: block for block in anatomy_of(model).blocks}
    for path, part in left.items():
        if path not in blocks:
            raise UserError(f"removed parts: the model has no block {path!r}")
        try:
            _reduce(model, blocks[path], part)
        except ValueError as error:
            raise UserError(f"removed parts of block {path!r} do not fit: {error}") from None


def _match_position_bias(model: nn.Module, attention: Attention, kept: Tensor) -> None:
    """Let T5's attentions accept a position bias for more heads than they still have."""
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
    """Return the numbers from 0 to ``total`` that are not removed, in order."""
    gone = set(removed.tolist() if isinstance(removed, torch.Tensor) else removed)
    if strange := gone.difference(range(total)):
        raise ValueError(f"no such {kind}: {sorted(strange)} of {total}")
    if len(gone) == total:
        raise ValueError(f"at least one {kind} must stay")
    return torch.tensor([n for n in range(total) if n not in gone], device="cpu")


def _keep_rows(model: nn.Module, matrix: Matrix, rows: Tensor) -> None:
    """Keep only some output rows of the module that holds a matrix, and of its bias."""
    module: Any = matrix.module(model)
    module.weight = _part(module.weight, rows, dim=1 if matrix.transposed else 0)
    if module.bias is not None:
        module.bias = _part(module.bias, rows, dim=0)
    setattr(module, "nf" if matrix.transposed else "out_features", rows.numel())


def _keep_columns(model: nn.Module, matrix: Matrix, columns: Tensor) -> None:
    """Keep only some input columns of the module that holds a matrix."""
    module: Any = matrix.module(model)
    module.weight = _part(module.weight, columns, dim=0 if matrix.transposed else 1)
    setattr(module, "nx" if matrix.transposed else "in_features", columns.numel())


def _part(parameter: nn.Parameter, index: Tensor, *, dim: int) -> nn.Parameter:
    part = parameter.detach().index_select(dim, index.to(parameter.device))
    return nn.Parameter(part, requires_grad=parameter.requires_grad)


def _reduce(model: nn.Module, block: Block, left: RemainingParts) -> None:
    for attention, heads in zip(block.attentions, left.heads, strict=True):
        remove_heads(model, attention, _last(attention.heads, left=heads))
    if left.neurons is None:
        remove_ffn(model, block)
    elif block.ffn is not None:
        remove_neurons(model, block.ffn, _last(block.ffn.neurons, left=left.neurons))


def _last(total: int, *, left: int) -> range:
    """Return the numbers of the parts to remove so that ``left`` remain."""
    if left > total:
        raise ValueError(f"{left} parts of {total}")
    return range(left, total)


def _remaining(block: Block) -> RemainingParts:
    heads = [attention.heads for attention in block.attentions]
    return RemainingParts(heads=heads, neurons=block.ffn.neurons if block.ffn else None)
