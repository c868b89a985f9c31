"""Tensors on disk without their zeros: a bit for every entry, and the values that are not zero.

Each tensor is stored in the smaller of two encodings, this one or dense. The file is in the format
of safetensors; its metadata names the encoded tensors, with their shapes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from torch import Tensor

_BITS = "#bits"
_VALUES = "#values"
_KEY = "encoded"


def encoded_bytes(tensors: Iterable[Tensor]) -> int:
    """Return the bytes of tensors, each in the smaller of the two encodings, without the header."""
    return sum(min(tensor.nbytes, _sparse_bytes(tensor)) for tensor in tensors)


def bit_bytes(entries: int) -> int:
    """Return the bytes that one bit for each entry needs."""
    return -(-entries // 8)


def save_encoded(tensors: Mapping[str, Tensor], file: Path) -> None:
    """Write tensors, each in the smaller of the two encodings.

    Args:
        tensors: Dense tensors by name.
        file: The file to write.
    """
    from safetensors.torch import save_file

    stored: dict[str, Tensor] = {}
    shapes: dict[str, list[int]] = {}
    for name, tensor in tensors.items():
        if _sparse_bytes(tensor) >= tensor.nbytes:
            stored[name] = tensor
            continue
        kept = tensor.flatten() != 0
        stored[name + _BITS] = torch.from_numpy(np.packbits(kept.numpy()))
        stored[name + _VALUES] = tensor.flatten()[kept]
        shapes[name] = list(tensor.shape)
    save_file(stored, str(file), metadata={"format": "pt", _KEY: json.dumps(shapes)})


def load_encoded(file: Path) -> dict[str, Tensor]:
    """Read the tensors that ``save_encoded`` wrote; each is dense and equal to the original.

    Raises:
        ValueError: The file was not written by ``save_encoded``, or its parts do not fit together.
    """
    from safetensors import safe_open

    with safe_open(str(file), framework="pt") as content:
        shapes = json.loads((content.metadata() or {}).get(_KEY, "null"))
        if not isinstance(shapes, dict):
            raise ValueError("its metadata does not name the encoded tensors")  # noqa: TRY004 - of the file
        stored = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 - no mapping
    for name, shape in shapes.items():
        bits, values = stored.pop(name + _BITS), stored.pop(name + _VALUES)
        stored[name] = _decoded(bits, values, torch.Size(shape))
    return stored


def _decoded(bits: Tensor, values: Tensor, shape: torch.Size) -> Tensor:
    kept = np.unpackbits(bits.numpy(), count=shape.numel()).astype(bool)
    if int(kept.sum()) != values.numel():
        raise ValueError(f"{values.numel()} values for {int(kept.sum())} positions")
    flat = torch.zeros(shape.numel(), dtype=values.dtype)
    flat[torch.from_numpy(kept)] = values
    return flat.view(shape)


def _sparse_bytes(tensor: Tensor) -> int:
    values = int(torch.count_nonzero(tensor)) * tensor.element_size()
    return bit_bytes(tensor.numel()) + values
