"""The training examples that a method looks at when a stage begins, and what they cost it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import torch

from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from datasets import Dataset
    from torch import Tensor


class CalibrationData:
    """Batches of training examples, counted: the ``data`` of ``Method.begin_stage``.

    Args:
        features: The encoded training examples.
        collate: Turns a list of features into a batch.
        device: The device of the batches.
        batch_size: The examples that cost one optimizer step.
        micro_batch: The examples of a batch, unless the method asks for another size.
        limit: The most optimizer steps that the stage can pay for; None if they are free.
        seed: Seeds the order of the examples.

    Attributes:
        examples: The examples that were yielded.
    """

    def __init__(
        self,
        features: Dataset,
        collate: Callable[..., Any],
        *,
        device: torch.device,
        batch_size: int,
        micro_batch: int,
        limit: int | None,
        seed: int,
    ) -> None:
        self.examples = 0
        self._features = features
        self._collate = collate
        self._device = device
        self._batch_size = batch_size
        self._micro_batch = micro_batch
        self._limit = limit
        self._order = _shuffled(len(features), seed)
        self._is_open = True

    @property
    def steps(self) -> int:
        """The optimizer steps that the examples cost; 0 if they are free."""
        return 0 if self._limit is None else -(-self.examples // self._batch_size)

    def close(self) -> None:
        """Refuse further examples: the stage has begun."""
        self._is_open = False

    def batches(self, examples: int, size: int | None = None) -> Iterator[Mapping[str, Tensor]]:
        """Yield training examples in batches; see ``sparsebench.method.TrainingData``."""
        size = self._micro_batch if size is None else size
        for number, value in {"examples": examples, "size": size}.items():
            if not isinstance(value, int) or value < 1:
                raise UserError(f"data.batches: {number} is {value!r}: give an integer from 1")
        while examples > 0:
            self._check_budget(examples)  # each time: another call may have taken some meanwhile
            if not self._is_open:
                raise UserError("data.batches: training examples can be had in begin_stage only")
            places = list(itertools.islice(self._order, min(size, examples)))
            examples -= len(places)
            self.examples += len(places)
            batch = self._collate([self._features[place] for place in places])
            yield {name: value.to(self._device) for name, value in batch.items()}

    def _check_budget(self, examples: int) -> None:
        if self._limit is None:
            return
        left = self._limit * self._batch_size - self.examples
        if examples > left:
            raise UserError(
                f"data.batches: {examples} examples cost {-(-examples // self._batch_size)} steps "
                f"of the stage, which has {self._limit} to spare: ask for at most {left} examples, "
                "train for longer, or give calibration free with training.calibration: free"
            )


def _shuffled(count: int, seed: int) -> Iterator[int]:
    """Yield the numbers below ``count`` in a random order, and again in another one."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield from torch.randperm(count, generator=generator).tolist()
