"""What tells one set of examples, or one tokenizer, from every other."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase


def examples_fingerprint(splits: Mapping[str, Dataset]) -> str:
    """Hashes all examples of all splits, in order; ``id`` does not count.

    The ids of one data set differ from source to source, and the order of columns may.
    """
    digest = hashlib.sha256()
    for name in sorted(splits):
        digest.update(f"{name}\n".encode())
        columns = [column for column in splits[name].column_names if column != "id"]
        for batch in splits[name].select_columns(sorted(columns)).iter(batch_size=1000):
            digest.update(json.dumps(batch, sort_keys=True).encode())
    return digest.hexdigest()[:16]


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Hashes all of a tokenizer that decides what a text becomes.

    What the last call set, padding and truncation, does not count.
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
