"""Check the files of a model before it is loaded, and its weights after."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path
    from typing import BinaryIO

logger = logging.getLogger(__name__)

MAX_LAYERS = 1000
"""The most layers of a model; a larger number is a mistake, and building it fills the memory."""

_LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "num_decoder_layers", "n_layers")
_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model", "tekken.json")
_LFS_POINTER = b"version https://git-lfs"
_PRETRAINING_HEADS = ("cls.", "lm_head.")
_SHOWN = 3
_MAX_HEADER = 10**8
"""Bytes of the largest header that the safetensors format allows."""


def check_config(config: Mapping[str, Any], *, spec: str) -> None:
    """Refuse configurations that cannot be built as they were trained.

    Raises:
        UserError: The model has too many layers, or position embeddings that the library lacks.
    """
    for key in _LAYERS:
        layers = config.get(key)
        if isinstance(layers, int) and layers > MAX_LAYERS:
            raise UserError(f"model {spec!r}: {key} is {layers:,}; the limit is {MAX_LAYERS:,}")
    kind = config.get("position_embedding_type")
    if kind not in (None, "absolute"):
        raise UserError(
            f"model {spec!r}: position_embedding_type is {kind!r}; transformers no longer has "
            "it, and would build another model than the one that was trained"
        )


def check_files(folder: Path, *, spec: str) -> None:
    """Refuse a folder whose weights or tokenizer cannot be loaded as they were saved.

    Raises:
        UserError: A file is missing, cut or a git-lfs pointer, or an adapter lies beside the
            weights; the message names the file.
    """
    if (adapter := folder / "adapter_config.json").is_file():
        raise UserError(
            f"model {spec!r}: {adapter.name} describes an adapter beside the weights: merge the "
            "adapter into them, or remove its files"
        )
    weights = sorted(folder.glob("*.safetensors"))
    if not weights and list(folder.glob("*.bin")):
        raise UserError(
            f"model {spec!r}: its weights are only in a *.bin file, and unpickling may run code: "
            "convert them to model.safetensors"
        )
    for file in weights:
        _check_weights_file(file, spec=spec)
    if weights and not any(list(folder.glob(pattern)) for pattern in _TOKENIZER_FILES):
        raise UserError(
            f"model {spec!r}: {folder} has no tokenizer files ({', '.join(_TOKENIZER_FILES)}): "
            "copy those of its pretrained model"
        )


def check_loaded(
    report: Mapping[str, Any], *, head: Collection[str], stored: Collection[str], spec: str
) -> None:
    """Refuse a model of which weights were not loaded, except for a head or a missing pooler.

    Args:
        report: The loading report of transformers.
        head: Names of the parameters of the task head.
        stored: Names of the tensors in the files.
        spec: The model as the user wrote it.

    Raises:
        UserError: Weights are missing or have other shapes; the message names some.
    """
    has_pooler = any("pooler." in name for name in stored)  # else there is none to load
    wrong = [
        f"{name} (missing)"
        for name in sorted(report["missing_keys"])
        if name not in head and ("pooler." not in name or has_pooler)
    ]
    wrong += [
        f"{name} ({list(found)} in the file, {list(expected)} in the model)"
        for name, found, expected in sorted(report["mismatched_keys"])
        if name not in head
    ]
    unused = sorted(
        name for name in report["unexpected_keys"] if not name.startswith(_PRETRAINING_HEADS)
    )
    if wrong:
        hint = f"; not used of the files: {_some(unused)}" if unused else ""
        raise UserError(
            f"model {spec!r}: {len(wrong)} of its weights did not load: {_some(wrong)}{hint}"
        )
    if unused:
        logger.warning("model %r: not used of its files: %s", spec, _some(unused))


def read_tensor(stream: BinaryIO, *, suffix: str) -> bytes:
    """Read the bytes of one tensor of a safetensors file, without the others.

    Args:
        stream: The file, at its start.
        suffix: How the name of the tensor ends.

    Returns:
        Its bytes; none if the file has no such tensor or cannot be read as safetensors.
    """
    length = int.from_bytes(stream.read(8), "little")
    if length > _MAX_HEADER:
        return b""
    try:
        header = json.loads(stream.read(length))
        spans = [v["data_offsets"] for name, v in header.items() if name.endswith(suffix)]
        start, end = spans[0]
        stream.seek(8 + length + start)
        return stream.read(end - start)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return b""


def _check_weights_file(file: Path, *, spec: str) -> None:
    """Compare the size of a safetensors file with its header."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
        if _LFS_POINTER.startswith(start) and start:
            raise UserError(f"model {spec!r}: {file.name} is a git-lfs pointer: run git lfs pull")
        length = int.from_bytes(start, "little")
        cut = UserError(f"model {spec!r}: {file.name} is incomplete: copy or download it again")
        if len(start) < 8 or 8 + length > size:  # noqa: PLR2004 - the length of the header
            raise cut
        try:
            header = json.loads(stream.read(length))
            ends = [v["data_offsets"][1] for k, v in header.items() if k != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            raise UserError(f"model {spec!r}: {file.name} is no safetensors file") from None
    if 8 + length + max(ends, default=0) != size:
        raise cut


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
