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
        encode: Takes a batch, column -> values, and the terms; returns its features. Where these
            are not one an example, ``example`` is the place in the batch that each belongs to.
        size: Examples a batch.
        **terms: What ``encode`` needs besides.

    Returns:
        The features; ``example`` is a place among all examples.
    """
    from datasets import Dataset, concatenate_datasets

    parts = []
    for number, batch in enumerate(examples.iter(batch_size=size)):
        columns = encode(batch, **terms)
        if "example" in columns:
            columns["example"] = [number * size + place for place in columns["example"]]
        parts.append(Dataset.from_dict(columns))
    return concatenate_datasets(parts)
