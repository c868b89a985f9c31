"""Counts what a model stores: parameters, zeros, bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from sparsebench.errors import UserError
from sparsebench.models.anatomy import anatomy_of
from sparsebench.results.costs import Parameters

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from torch import nn


def parameters(
    model: nn.Module,
    *,
    head: Collection[str] = (),
    trainable: int | None = None,
    reference: nn.Module | None = None,
    folder: Path | None = None,
) -> Parameters:
    """Counts the parameters of a deployed model.

    Args:
        model: The deployed model.
        head: Names of the parameters of the task head, in the model or in what PEFT wrapped.
        trainable: Parameters that were trained, the head's apart.
        reference: The untouched backbone with its head, to tell what was removed.
        folder: Where the model was saved.

    Raises:
        ValueError: The model has no parameter of a name in ``head``.
        UserError: It is on the meta device.
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
        bytes_on_disk=None if folder is None else _size(folder),
    )


def peft_base(model: nn.Module) -> nn.Module:
    """Returns the transformers model inside what the PEFT library wrapped; else the model."""
    wrapped: Any = model
    base: nn.Module = wrapped.get_base_model() if hasattr(model, "get_base_model") else model
    return base


def stored_entries(tensor: torch.Tensor) -> int:
    """Returns how many entries a tensor stores; a sparse one stores those that were kept."""
    return _values(tensor).numel()


def nonzero_entries(tensor: torch.Tensor) -> int:
    """Returns how many of the entries that a tensor stores are not zero."""
    return int(torch.count_nonzero(_values(tensor)))


def _values(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach()
    if tensor.layout == torch.strided:
        return tensor
    return tensor.coalesce().values() if tensor.layout == torch.sparse_coo else tensor.values()


def _block_weights(model: nn.Module) -> list[torch.Tensor] | None:
    """Returns the matrices of the transformer blocks, or None where the family is not known."""
    base = peft_base(model)
    if not hasattr(base, "config"):
        return None
    try:
        return [matrix.weight(base) for matrix in anatomy_of(base).matrices()]
    except UserError:
        return None


def _find(names: Collection[str], *, within: Collection[str]) -> set[str]:
    """Returns the parameters that stand under ``names``, through PEFT's copies and prefixes."""
    found = set()
    for name in names:
        owner, _, leaf = name.rpartition(".")
        endings = (name, f".{name}", f".{owner}.modules_to_save.default.{leaf}")
        matches = {key for key in within if key == name or key.endswith(endings[1:])}
        if not matches:
            raise ValueError(f"the model has no parameter {name!r}")
        found |= matches
    return found


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
