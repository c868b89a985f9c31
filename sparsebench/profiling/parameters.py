"""Count what a model stores: parameters, zeros, bytes on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from sparsebench.errors import UserError
from sparsebench.models import anatomy_of
from sparsebench.results.costs import Parameters, Storage
from sparsebench.sparsity.encoding import encoded_bytes

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from torch import Tensor, nn


def trainable_parameters(view: nn.Module, head: Collection[int]) -> int:
    """Return how many parameters of a training view train, without the head.

    Args:
        view: The training view.
        head: The identities (``id``) of the parameters of the task head.
    """
    return sum(p.numel() for p in view.parameters() if p.requires_grad and id(p) not in head)


def count_parameters(
    model: nn.Module,
    *,
    head: Collection[str] = (),
    trainable: int | None = None,
    reference: nn.Module | None = None,
    folder: Path | None = None,
) -> Parameters:
    """Count the parameters of a deployed model.

    Args:
        model: The deployed model.
        head: Names of the parameters of the task head, in the model or in what PEFT wrapped.
        trainable: Parameters that were trained, without the head.
        reference: The untouched backbone with its head; sparsity is relative to it.
        folder: The deployed folder.

    Raises:
        ValueError: The model has no parameter of a name in ``head``.
        UserError: The model is on the meta device.
    """
    tensors = dict(model.named_parameters())
    if any(tensor.is_meta for tensor in tensors.values()):
        raise UserError("weights without values have no zeros to count")
    encoder = _block_weights(model)
    original = _block_weights(reference) if reference is not None else None
    return Parameters(
        trainable=trainable,
        head=sum(tensors[name].numel() for name in _find(head, within=tensors)),
        total=sum(tensor.numel() for tensor in tensors.values()),
        nonzero=sum(map(nonzero_entries, tensors.values())),
        encoder=None if encoder is None else sum(tensor.numel() for tensor in encoder),
        encoder_nonzero=None if encoder is None else sum(map(nonzero_entries, encoder)),
        reference_total=None
        if reference is None
        else sum(map(torch.numel, reference.parameters())),
        reference_encoder=None if original is None else sum(map(torch.numel, original)),
        bytes_on_disk=None if folder is None else _folder_bytes(folder),
    )


def count_storage(
    model: nn.Module, *, backbone: nn.Module | None = None, learned: int | None = None
) -> Storage:
    """Count the bytes of a deployed model's weights on disk.

    Args:
        model: The deployed model.
        backbone: The untouched backbone with its head and the same pretrained weights, which all
            tasks share; None if it is not known.
        learned: Bytes of the trained values and of the masks, where known.
    """
    tensors = _stored_tensors(model)
    record = Storage(
        dense=sum(tensor.nbytes for tensor in tensors.values()),
        sparse=encoded_bytes(tensors.values()),
    )
    if backbone is None:
        return record
    shared = _stored_tensors(backbone)
    changed = encoded_bytes(t for name, t in tensors.items() if not _equal(t, shared.get(name)))
    if learned is not None and learned < changed:
        smaller = {"per_task": learned, "per_task_as": "trained values and masks"}
    else:
        smaller = {"per_task": changed, "per_task_as": "changed tensors"}
    return record.model_copy(update=smaller)


def peft_base(model: nn.Module) -> nn.Module:
    """Return the transformers model inside a PEFT wrapper; any other model as it is."""
    wrapped: Any = model
    base: nn.Module = wrapped.get_base_model() if hasattr(model, "get_base_model") else model
    return base


def stored_entries(tensor: Tensor) -> int:
    """Return the number of entries that a tensor stores; a sparse one stores those it kept."""
    return _values(tensor).numel()


def nonzero_entries(tensor: Tensor) -> int:
    """Return the number of stored entries that are not zero."""
    return int(torch.count_nonzero(_values(tensor)))


def _values(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    if tensor.layout == torch.strided:
        return tensor
    return tensor.coalesce().values() if tensor.layout == torch.sparse_coo else tensor.values()


def _block_weights(model: nn.Module) -> list[Tensor] | None:
    """Return the matrices of the transformer blocks, or None for an unknown family."""
    base = peft_base(model)
    if not hasattr(base, "config"):
        return None
    try:
        return [matrix.weight(base) for matrix in anatomy_of(base).matrices()]
    except UserError:
        return None


def _find(names: Collection[str], *, within: Collection[str]) -> set[str]:
    """Return the full names of parameters, including PEFT's copies and prefixes."""
    found = set()
    for name in names:
        owner, _, leaf = name.rpartition(".")
        endings = (f".{name}", f".{owner}.modules_to_save.default.{leaf}")
        matches = {key for key in within if key == name or key.endswith(endings)}
        if not matches:
            raise ValueError(f"the model has no parameter {name!r}")
        found |= matches
    return found


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _stored_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a model's state by name, shared ones once."""
    names: dict[int, str] = {}
    state = model.state_dict(keep_vars=True)
    for name, tensor in state.items():
        names.setdefault(id(tensor), name)
    return {name: state[name].detach() for name in names.values()}


def _equal(tensor: Tensor, other: Tensor | None) -> bool:
    if other is None or other.shape != tensor.shape:
        return False
    return torch.equal(tensor, other.to(tensor.device))
