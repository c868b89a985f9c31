"""Counts the bytes that a model takes on disk, and a task takes beside a shared backbone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from sparsebench.results.costs import Storage
from sparsebench.sparsity.encoding import encoded_bytes

if TYPE_CHECKING:
    from torch import Tensor, nn


def storage(
    model: nn.Module, *, backbone: nn.Module | None = None, learned: int | None = None
) -> Storage:
    """Counts the bytes of a deployed model's weights on disk.

    Args:
        model: The deployed model.
        backbone: The untouched backbone with its head, of the same weights: what a user has anyway.
        learned: Bytes of what trained and of the masks, where that is known.
    """
    tensors = _stored(model)
    dense = sum(tensor.nbytes for tensor in tensors.values())
    sparse = encoded_bytes(tensors.values())
    record = Storage(dense=dense, sparse=sparse)
    if backbone is None:
        return record
    had = _stored(backbone)
    changed = encoded_bytes(t for name, t in tensors.items() if not _same(t, had.get(name)))
    if learned is not None and learned < changed:
        told = {"per_task": learned, "per_task_as": "trained values and masks"}
    else:
        told = {"per_task": changed, "per_task_as": "changed tensors"}
    return record.model_copy(update=told)


def _stored(model: nn.Module) -> dict[str, Tensor]:
    """Returns what a model stores, shared tensors once."""
    names: dict[int, str] = {}
    state = model.state_dict(keep_vars=True)
    for name, tensor in state.items():
        names.setdefault(id(tensor), name)
    return {name: state[name].detach() for name in names.values()}


def _same(tensor: Tensor, other: Tensor | None) -> bool:
    if other is None or other.shape != tensor.shape:
        return False
    return torch.equal(tensor, other.to(tensor.device))
