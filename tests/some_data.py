"""Examples with labels for a method that looks at data, of a tiny backbone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from tiny_models import tiny_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sparsebench import Backbone

EXAMPLES = 12


class SomeData:
    """Examples without padding for a tiny backbone, a few at a time."""

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone
        generator = torch.Generator().manual_seed(7)
        self.examples: list[dict[str, torch.Tensor]] = []
        while len(self.examples) < EXAMPLES:
            batch = tiny_batch(backbone)
            batch["attention_mask"] = torch.ones_like(batch["attention_mask"])
            batch["labels"] = batch["labels"].clamp(min=0)
            vocabulary = batch["input_ids"].max().item() + 1
            shape = batch["input_ids"].shape
            batch["input_ids"] = torch.randint(1, int(vocabulary), shape, generator=generator)
            self.examples += [
                {name: value[place : place + 1] for name, value in batch.items()}
                for place in range(shape[0])
            ]

    def batches(self, examples: int, size: int | None = None) -> Iterator[dict[str, torch.Tensor]]:
        size = size or examples
        for start in range(0, examples, size):
            chosen = self.examples[start : min(start + size, examples)]
            yield {name: torch.cat([each[name] for each in chosen]) for name in chosen[0]}
