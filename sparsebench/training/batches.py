"""Batches of training examples: of similar lengths, and sharded over several processes."""

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


def sharded(collate: Callable[..., Any], group: ProcessGroup) -> Callable[..., dict[str, Any]]:
    """Return a collator that keeps this process's shard of the rows of a batch.

    The mean over the shards of loss times weight is the mean loss of the batch: a shard weighs as
    many examples as it has, or as many target tokens where each token is predicted. The last batch
    of an epoch may have too few rows for all processes; a process without rows repeats one of the
    others, with weight 0.

    Args:
        collate: Turns rows into a batch.
        group: The processes that share the batch.
    """

    def collate_shard(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        mine = rows[group.rank :: group.size]
        weight = group.size * _targets(mine) / max(1, _targets(rows))
        return {**collate(list(mine or rows[:1])), WEIGHT: torch.tensor(weight)}

    return collate_shard


def _targets(rows: Sequence[Mapping[str, Any]]) -> int:
    """Return the number of predictions that the mean loss of the rows averages over."""
    labels = [row.get("labels") for row in rows]
    return sum(
        sum(label != IGNORED for label in each) if isinstance(each, list) else 1 for each in labels
    )
