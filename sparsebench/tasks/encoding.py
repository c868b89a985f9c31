"""Encoding many examples without holding all of their texts in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from datasets import Dataset


def in_batches(
    examples: Dataset, encode: Callable[..., dict[str, list[Any]]], *, size: int, **terms: Any
) -> Dataset:
    """Returns the features of all examples, in order.

    Args:
        examples: The examples.
        encode: Takes a batch, column -> values, and the terms; returns its features.
        size: Examples a batch.
        **terms: What ``encode`` needs besides.
    """
    from datasets import Dataset, concatenate_datasets

    batches = examples.iter(batch_size=size)
    return concatenate_datasets([Dataset.from_dict(encode(batch, **terms)) for batch in batches])
