"""Examples with labels for a method that looks at data, and scores of weights by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from tiny_models import tiny_batch

from sparsebench.models import anatomy_of

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


def plain_scores(model: Any, score: str, data: SomeData) -> dict[str, torch.Tensor]:
    """Each matrix's scores, from plain gradients of the whole model and all at once."""
    model = model.eval().requires_grad_()
    sums: dict[str, torch.Tensor] = {}
    for batch in data.batches(EXAMPLES, size=1 if score == "fisher" else 8):
        model.zero_grad()
        model(**batch).loss.backward()
        share = len(batch["input_ids"]) / EXAMPLES
        for matrix in anatomy_of(model).matrices():
            gradient = matrix.view(matrix.module(model).weight.grad).double()  # type: ignore[union-attr, arg-type]
            gradient = gradient**2 if score == "fisher" else gradient
            sums[matrix.name] = sums.get(matrix.name, 0) + gradient * share
    model.zero_grad()
    weights = {matrix.name: matrix.weight(model) for matrix in anatomy_of(model).matrices()}
    factor = weights if score == "snip" else dict.fromkeys(weights, 1.0)
    return {name: (value * factor[name]).abs().detach() for name, value in sums.items()}
