"""What was removed from a model, written down, so that a saved one can be built again.

A record names every block that differs from what the model's configuration says, with the heads
of each of its attentions and the neurons of its feed-forward network that are left::

    {"bert.encoder.layer.0": {"heads": [9], "neurons": 1843},
     "bert.encoder.layer.1": {"heads": [12], "neurons": None}}

``None`` stands for a network that was removed as a whole. A record gives shapes; which heads of
T5 are left, where its shared position bias needs to know, is a buffer beside the weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeInt, TypeAdapter, ValidationError

from sparsebench.errors import UserError
from sparsebench.models.anatomy import anatomy_of
from sparsebench.sparsity.removal import remove_ffn, remove_heads, remove_neurons

if TYPE_CHECKING:
    from torch import nn

    from sparsebench.models.anatomy import Block


class Left(BaseModel):
    """What is left of one block."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    heads: list[NonNegativeInt]
    """The heads of each attention."""

    neurons: NonNegativeInt | None
    """The neurons of the feed-forward network; None where there is none any more."""


_RECORD = TypeAdapter(dict[str, Left])


def removal_record(model: nn.Module) -> dict[str, Any]:
    """Returns what was removed from a plain transformers model; empty where nothing was.

    Args:
        model: The model; its configuration says what it would be whole.

    Returns:
        What is left of every block that lost something, by the block's path, ready for JSON.
    """
    build: Any = type(model)
    with torch.device("meta"):
        whole = anatomy_of(build(model.config))
    pairs = zip(anatomy_of(model).blocks, whole.blocks, strict=True)
    return {
        block.path: _left(block).model_dump()
        for block, full in pairs
        if _left(block) != _left(full)
    }


def apply_record(model: nn.Module, record: object) -> None:
    """Gives a freshly built model the shapes that a record tells of, in place.

    Which weights stay has no meaning: load the saved ones afterwards.

    Args:
        model: A model as its configuration says.
        record: What ``removal_record`` returned, or the same read from JSON.

    Raises:
        UserError: The record is none, or does not fit the model.
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


def _reduce(model: nn.Module, block: Block, left: Left) -> None:
    for attention, heads in zip(block.attentions, left.heads, strict=True):
        remove_heads(model, attention, _last(attention.heads, left=heads))
    if left.neurons is None:
        remove_ffn(model, block)
    elif block.ffn is not None:
        remove_neurons(model, block.ffn, _last(block.ffn.neurons, left=left.neurons))


def _last(total: int, *, left: int) -> range:
    """Returns the numbers of the parts to remove so that so many are left."""
    if left > total:
        raise ValueError(f"{left} parts of {total}")
    return range(left, total)


def _left(block: Block) -> Left:
    heads = [attention.heads for attention in block.attentions]
    return Left(heads=heads, neurons=block.ffn.neurons if block.ffn else None)
