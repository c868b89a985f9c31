"""Features on disk, so that every task is tokenised once for each tokenizer.

One Arrow file a set of features, named after everything that they depend on; it is written
elsewhere and moved into place, so that no reader ever sees a part of it. What the features depend
on is hashed, never assumed: the examples and the tokenizer by their content.
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

from sparsebench.tasks.fingerprint import examples_fingerprint, tokenizer_fingerprint
from sparsebench.version import __version__

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from sparsebench.models.families import Form
    from sparsebench.tasks.base import Task


def cache_folder() -> Path:
    """Returns ``SPARSEBENCH_CACHE``, or ``sparsebench`` in the user's folder for caches."""
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
    """Returns ``task.encode(...)`` with a column ``length``, from the cache where it is there.

    Where the folder cannot be written, or what is in it cannot be read, it works without.

    Args:
        task: The task; its class and its version are part of the key.
        examples: Rows of ``TaskData``.
        tokenizer: The backbone's tokenizer.
        form: The form to encode for.
        max_length: The most input tokens.
        inputs_only: Whether it is ``task.encode_inputs`` that is wanted, to predict from.
        folder: Where the cache is, if not in ``cache_folder()``.
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
