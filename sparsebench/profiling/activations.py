"""Measures how many activations of the feed-forward networks are not zero.

An activation is what a network's activation function returns. Padding is left out, but for the
published definition. Every count is one of whole numbers, so that a share is exact.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from sparsebench.models.anatomy import anatomy_of
from sparsebench.profiling.inference import inference
from sparsebench.profiling.outputs import answers, relative_error
from sparsebench.profiling.parameters import nonzero_entries, peft_base
from sparsebench.results.costs import THRESHOLD, Activations, LayerDensity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from sparsebench.results.costs import Shapes

    Inputs = Mapping[str, Tensor]

THRESHOLDS = (0.0, THRESHOLD, 1e-2, 1e-1)
UNIONS = (1, 4, 16, 64)
"""Neighbouring tokens that a kernel may share a weight between."""


def activations(model: nn.Module, batches: Sequence[Inputs], *, data: str) -> Activations | None:
    """Measures the density of every feed-forward network of a model.

    Args:
        model: A model of one of the four families, plain or wrapped by the PEFT library.
        batches: Inputs of forward passes; ``attention_mask`` and ``decoder_attention_mask`` say
            what is padding.
        data: What the inputs are, for the record.

    Returns:
        The densities, or None where no feed-forward network is left.
    """
    layers = _layers(model)
    if not layers:
        return None
    errors = dict.fromkeys(THRESHOLDS[1:], 0.0)
    with inference(model):
        for batch in batches:
            exact = _listen(model, layers, batch)
            mask = _mask(batch, "decoder" if "decoder_input_ids" in batch else "encoder")
            for threshold in THRESHOLDS[1:]:
                other = _without_small(model, layers, batch, threshold)
                errors[threshold] += relative_error(exact, other, mask=mask)
    return Activations(
        data=data,
        tokens=sum(_tokens(batch) for batch in batches),
        layers={layer.block: layer.record() for layer in layers},
        output_error={threshold: total / len(batches) for threshold, total in errors.items()},
    )


def skipped(model: nn.Module, shapes: Shapes, density: Activations) -> int:
    """Returns the multiply-adds that activations of exactly zero save in one forward pass.

    They save their share of the second product of each feed-forward network, of those weights that
    are not zero themselves.

    Args:
        model: The model.
        shapes: The shapes of the inputs of the forward pass.
        density: What was measured of it.
    """
    base = peft_base(model)
    batch, length = shapes["input_ids"]
    tokens = {"encoder": length, "decoder": shapes.get("decoder_input_ids", (batch, length))[1]}
    saved = 0.0
    for block in anatomy_of(base).blocks:
        layer = density.layers.get(block.path)
        if block.ffn is not None and layer is not None:
            weights = nonzero_entries(block.ffn.down.weight(base))
            saved += (1 - layer.above[0.0]) * batch * tokens[block.stack] * weights
    return round(saved)


@dataclass
class _Layer:
    """The counts of one network so far."""

    block: str
    stack: str
    module: nn.Module
    real: int = 0
    padded: int = 0
    nonzero: int = 0
    above: Counter[float] = field(default_factory=Counter)
    windows: Counter[int] = field(default_factory=Counter)
    united: Counter[int] = field(default_factory=Counter)

    def hear(self, values: Tensor, mask: Tensor | None) -> None:
        """Counts the activations ``[batch, tokens, neurons]`` of one forward pass."""
        values = values.detach()
        mask = _grown(mask, values)
        self.padded += values.numel()
        self.nonzero += int(values.count_nonzero())
        for sequence, kept in zip(values, mask, strict=True):
            sizes = sequence[kept].float().abs()
            self.real += sizes.numel()
            for threshold in THRESHOLDS:
                self.above[threshold] += int((sizes > threshold).sum())
            self._unite(sizes > THRESHOLD)

    def _unite(self, fired: Tensor) -> None:
        """Counts neurons that fire in windows of neighbouring tokens, whole windows only."""
        tokens, neurons = fired.shape
        for width in UNIONS:
            count = tokens // width
            windows = fired[: count * width].reshape(count, width, neurons)
            self.united[width] += int(windows.any(1).sum())
            self.windows[width] += count * neurons

    def record(self) -> LayerDensity:
        """Returns the shares."""
        return LayerDensity(
            stack=self.stack,
            above={threshold: self.above[threshold] / self.real for threshold in THRESHOLDS},
            exact_padded=self.nonzero / self.padded,
            union={
                width: self.united[width] / self.windows[width]
                for width in UNIONS
                if self.windows[width]
            },
        )


def _layers(model: nn.Module) -> list[_Layer]:
    base = peft_base(model)
    return [
        _Layer(block.path, block.stack, base.get_submodule(block.ffn.activation))
        for block in anatomy_of(base).blocks
        if block.ffn is not None
    ]


def _listen(model: nn.Module, layers: Sequence[_Layer], batch: Inputs) -> tuple[Tensor, ...]:
    def hook(layer: _Layer) -> Callable[..., None]:
        mask = _mask(batch, layer.stack)
        return lambda _module, _inputs, output: layer.hear(output, mask)

    with _hooks({layer.module: hook(layer) for layer in layers}):
        return answers(model(**batch))


def _without_small(
    model: nn.Module, layers: Sequence[_Layer], batch: Inputs, threshold: float
) -> tuple[Tensor, ...]:
    """Returns the answers if no activation up to a threshold were there."""

    def cut(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        return output.masked_fill(output.abs() <= threshold, 0.0)

    with _hooks({layer.module: cut for layer in layers}):
        return answers(model(**batch))


@contextmanager
def _hooks(hooks: Mapping[nn.Module, Callable[..., Any]]) -> Iterator[None]:
    handles = [module.register_forward_hook(hook) for module, hook in hooks.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _mask(batch: Inputs, stack: str) -> Tensor | None:
    """Returns which tokens of a stack are no padding, boolean; None where all are."""
    two_stacks = "decoder_input_ids" in batch
    name = "decoder_attention_mask" if two_stacks and stack == "decoder" else "attention_mask"
    mask = batch.get(name)
    return None if mask is None else mask.bool()


def _grown(mask: Tensor | None, values: Tensor) -> Tensor:
    """Returns a mask for all tokens: virtual ones, which a prompt puts first, are no padding."""
    batch, tokens, _ = values.shape
    whole = torch.ones(batch, tokens, dtype=torch.bool, device=values.device)
    if mask is not None:
        whole[:, tokens - mask.shape[1] :] = mask
    return whole


def _tokens(batch: Inputs) -> int:
    mask = batch.get("attention_mask")
    return batch["input_ids"].numel() if mask is None else int(mask.sum())
