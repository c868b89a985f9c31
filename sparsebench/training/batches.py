"""The order of training examples, in batches of like lengths, and the shares of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import Sampler

from sparsebench.models.families import IGNORED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sparsebench.training.distributed import ProcessGroup

POOL = 8
"""Batches that are sorted together: the more, the less is padded, and the more batches differ."""

WEIGHT = "weight"
"""What a share of a batch says, besides its examples, of how much its mean loss counts."""


class LengthGrouped(Sampler[int]):
    """Draws batches of examples of like lengths, so that little is padded.

    ``transformers`` has such a sampler too, but hands out the batches of a pool from the longest to
    the shortest. On a small training set that is an order to learn from; here batches are shuffled.

    Args:
        lengths: Tokens of each example.
        batch_size: Examples a batch.
        seed: Seeds the order, which is another one in each epoch.
    """

    def __init__(self, lengths: Sequence[int], *, batch_size: int, seed: int) -> None:
        self._lengths = list(lengths)
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch that is drawn next."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        """Yields the places of all examples, batch after batch; an incomplete one comes last."""
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
    """Returns what makes this process's share of a batch from the rows of the whole batch.

    The mean of the losses of the shares, each times its weight, is the mean loss of the batch: a
    share weighs as many examples as it has, or as many tokens where each token is predicted. The
    last batch of an epoch may be too small for all; what is left without examples repeats one,
    with weight 0.

    Args:
        collate: Makes a batch of rows.
        group: The processes that share it.
    """

    def make(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        mine = rows[group.rank :: group.size]
        weight = group.size * _targets(mine) / max(1, _targets(rows))
        return {**collate(list(mine or rows[:1])), WEIGHT: torch.tensor(weight)}

    return make


def _targets(rows: Sequence[Mapping[str, Any]]) -> int:
    """Returns how many predictions the mean loss of the rows is a mean of."""
    labels = [row.get("labels") for row in rows]
    return sum(
        sum(label != IGNORED for label in each) if isinstance(each, list) else 1 for each in labels
    )
