"""Encode examples into features, once for each tokenizer: cached on disk, and hashed by content.

The cache has one Arrow file per set of features, named after a hash of everything that they depend
on; examples and tokenizer are hashed by their content. A file is written elsewhere and moved into
place, so that no reader sees an incomplete one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsebench.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from sparsebench.models.families import Form
    from sparsebench.tasks.base import Task


ENCODING = 2
"""Change it when an encoding is corrected, so that features of before are not read."""


def cache_folder() -> Path:
    """Return ``SPARSEBENCH_CACHE``, or ``sparsebench`` in the user's folder for caches."""
    if folder := os.environ.get("SPARSEBENCH_CACHE"):
        return Path(folder).expanduser()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "sparsebench"


def encoded(
    task: Task,
    examples: Dataset,
    *,
    tokenizer: PreTrainedTokenizerBase,
    form: Form,
    max_length: int,
    inputs_only: bool = False,
    folder: Path | None = None,
) -> Dataset:
    """Return ``task.encode(...)`` with a column ``length``, from the cache if it is there.

    A folder that cannot be written, or a file that cannot be read, only means no caching.

    Args:
        task: The task; its class and its version are part of the key.
        examples: Rows of ``TaskData``.
        tokenizer: The backbone's tokenizer.
        form: The form to encode for.
        max_length: The most input tokens.
        inputs_only: Return ``task.encode_inputs(...)`` instead, to predict from.
        folder: The cache, if not ``cache_folder()``.
    """
    terms: dict[str, Any] = {"tokenizer": tokenizer, "form": form, "max_length": max_length}
    key = _key(task, examples, inputs_only=inputs_only, **terms)
    file = (folder or cache_folder()) / "features" / f"{key}.arrow"
    features = _read(file)
    if features is None:
        encode = task.encode_inputs if inputs_only else task.encode
        features = _with_length(encode(examples, **terms))
        with contextlib.suppress(OSError):
            _write(features, file)
    return features


def in_batches(
    examples: Dataset, encode: Callable[..., dict[str, list[Any]]], *, size: int, **terms: Any
) -> Dataset:
    """Encode examples batch by batch, so that their texts are never all in memory.

    Args:
        examples: The examples.
        encode: Encodes one batch, column -> values, with the terms. If the features are not one
            per example, their column ``example`` is the place of the example in the batch.
        size: Examples per batch.
        **terms: Further arguments of ``encode``.

    Returns:
        The features of all examples, in order; ``example`` is a place among all examples.
    """
    from datasets import Dataset, concatenate_datasets

    parts = []
    for number, batch in enumerate(examples.iter(batch_size=size)):
        columns = encode(batch, **terms)
        if "example" in columns:
            columns["example"] = [number * size + place for place in columns["example"]]
        parts.append(Dataset.from_dict(columns))
    # A batch without features has columns without a type, which others cannot be joined to.
    return concatenate_datasets([part for part in parts if len(part)] or parts)


def examples_fingerprint(splits: Mapping[str, Dataset]) -> str:
    """Hash all examples of all splits, in order, except for their ``id``.

    The ids of a data set, and the order of its columns, differ between its sources.
    """
    digest = hashlib.sha256()
    for name in sorted(splits):
        digest.update(f"{name}\n".encode())
        columns = [column for column in splits[name].column_names if column != "id"]
        for batch in splits[name].select_columns(sorted(columns)).iter(batch_size=1000):
            digest.update(json.dumps(batch, sort_keys=True).encode())
    return digest.hexdigest()[:16]


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Hash everything in a tokenizer that decides how a text is encoded.

    Padding and truncation of the last call are left out.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules = json.loads(backend.to_str()) if backend else tokenizer.get_vocab()
    rules |= {"padding": None, "truncation": None}
    settings = {
        "rules": rules,
        "class": type(tokenizer).__qualname__,
        "special tokens": {k: str(v) for k, v in tokenizer.special_tokens_map.items()},
        "sides": [tokenizer.padding_side, tokenizer.truncation_side],
        "inputs": list(tokenizer.model_input_names),
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def _key(
    task: Task,
    examples: Dataset,
    *,
    tokenizer: PreTrainedTokenizerBase,
    form: Form,
    max_length: int,
    inputs_only: bool,
) -> str:
    parts = {
        "task": [type(task).__module__, type(task).__qualname__, task.title, task.version],
        "labels": list(task.labels),
        "examples": examples_fingerprint({"": examples}),
        "tokenizer": tokenizer_fingerprint(tokenizer),
        "form": str(form),
        "max_length": max_length,
        "inputs_only": inputs_only,
        "encoding": ENCODING,
        "versions": [__version__, *map(version, ("datasets", "tokenizers", "transformers"))],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _with_length(features: Dataset) -> Dataset:
    import pyarrow.compute as pc
    from datasets import Dataset

    table = features.with_format("arrow")[:]
    return Dataset(table.append_column("length", pc.list_value_length(table["input_ids"])))


def _read(file: Path) -> Dataset | None:
    import pyarrow as pa
    from datasets import Dataset

    try:
        return Dataset.from_file(str(file))
    except (OSError, pa.ArrowInvalid):
        return None


def _write(features: Dataset, file: Path) -> None:
    import pyarrow as pa

    file.parent.mkdir(parents=True, exist_ok=True)
    table = features.data.table
    part = file.with_suffix(f".{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
