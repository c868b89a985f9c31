"""Batches of training examples: of similar lengths, sharded and weighed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import Sampler

from sparsebench.models.families import IGNORED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sparsebench.training.distributed import ProcessGroup

POOL = 8
"""Batches sorted by length together: more of them means less padding and less random batches."""

TARGETS = "targets"
"""The key of a batch that holds its number of targets, in this process and in all of them."""

WEIGHT = "weight"
"""The key of a batch that holds the weight of its mean loss."""


class LengthGrouped(Sampler[int]):
    """Draw batches of examples of similar lengths, to pad little.

    The sampler of ``transformers`` yields the batches of a pool from the longest to the shortest.
    On a small training set a model can learn from that order; here the batches are shuffled.

    Args:
        lengths: Tokens of each example.
        batch_size: Examples a batch.
        seed: Seeds the order, which differs in each epoch.
    """

    def __init__(self, lengths: Sequence[int], *, batch_size: int, seed: int) -> None:
        self._lengths = list(lengths)
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch to draw next."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        """Yield the indices of all examples, batch after batch; an incomplete batch comes last."""
        generator = torch.Generator().manual_seed(self._seed)
        seeds = torch.randint(2**62, (self._epoch + 1,), generator=generator)
        generator.manual_seed(int(seeds[-1]))
        order = torch.randperm(len(self), generator=generator).tolist()
        pools = _cut(order, POOL * self._batch_size)
        ordered = [place for pool in pools for place in sorted(pool, key=self._lengths.__getitem__)]
        whole = _cut(ordered, self._batch_size)
        last = whole.pop() if len(whole[-1]) < self._batch_size else []
        for batch in torch.randperm(len(whole), generator=generator).tolist():
            yield from whole[batch]
        yield from last


def _cut(places: list[int], size: int) -> list[list[int]]:
    return [places[start : start + size] for start in range(0, len(places), size)]


def sharded(
    collate: Callable[..., Any], group: ProcessGroup, *, shifts_labels: bool = False
) -> Callable[..., dict[str, Any]]:
    """Return a collator that keeps this process's shard of the rows of a micro-batch.

    It adds the numbers of targets that ``weigh`` needs. The last batch of an epoch may have too few
    rows for all processes; a process without rows repeats one of the others, which weighs nothing.

    Args:
        collate: Turns rows into a batch.
        group: The processes that share each micro-batch.
        shifts_labels: Whether the first label of a sequence is no target, as in a language model
            without an encoder.
    """
    skipped = int(shifts_labels)

    def collate_shard(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        own = rows[group.rank :: group.size]
        counts = torch.tensor([_count_targets(own, skipped), _count_targets(rows, skipped)])
        return {**collate(list(own or rows[:1])), TARGETS: counts}

    return collate_shard


def weigh(batches: Sequence[dict[str, Any]], group: ProcessGroup) -> None:
    """Give the micro-batches of one optimizer step their weights, in place.

    The mean over micro-batches and processes of loss times weight is the mean loss of the whole
    batch: a shard weighs as many examples as it has, or as many target tokens where each token is
    predicted.

    Args:
        batches: This process's shards of the micro-batches, from a ``sharded`` collator.
        group: The processes that share them.
    """
    counts = [batch.pop(TARGETS) for batch in batches]
    total = torch.stack(counts)[:, 1].sum().clamp(min=1)
    for batch, (own, _) in zip(batches, counts, strict=True):
        batch[WEIGHT] = own * (group.size * len(batches)) / total


def _count_targets(rows: Sequence[Mapping[str, Any]], skipped: int) -> int:
    """Return the number of predictions that the mean loss of the rows averages over."""
    labels = [row.get("labels") for row in rows]
    return sum(
        sum(label != IGNORED for label in each[skipped:]) if isinstance(each, list) else 1
        for each in labels
    )
