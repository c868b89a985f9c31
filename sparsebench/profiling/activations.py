"""Measure the activation density of the feed-forward networks.

An activation is an output of a network's activation function. Padding is left out, except in the
definition of the DEFT paper. Counts are integers, so that shares are exact.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sparsebench.models import anatomy_of
from sparsebench.profiling.inference import inference, output_logits, relative_error
from sparsebench.profiling.parameters import nonzero_entries, peft_base
from sparsebench.results.costs import THRESHOLD, Activations, LayerDensity
from sparsebench.sparsity.activation_density import token_mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from sparsebench.results.costs import Shapes

    Inputs = Mapping[str, Tensor]

THRESHOLDS = (0.0, THRESHOLD, 1e-2, 1e-1)
UNIONS = (1, 4, 16, 64)
"""Neighbouring tokens that a kernel may share a weight between."""


def measure_activations(
    model: nn.Module, batches: Sequence[Inputs], *, data: str
) -> Activations | None:
    """Measure the activation density of every feed-forward network of a model.

    Args:
        model: A model of one of the four families, plain or wrapped by the PEFT library.
        batches: Inputs of forward passes; ``attention_mask`` and ``decoder_attention_mask`` mark
            padding.
        data: A description of the inputs, for the record.

    Returns:
        The densities, or None for a model without feed-forward networks.
    """
    layers = _layers(model)
    if not layers:
        return None
    errors = dict.fromkeys(THRESHOLDS[1:], 0.0)
    with inference(model):
        for batch in batches:
            exact = _record_pass(model, layers, batch)
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


def skipped_multiply_adds(model: nn.Module, shapes: Shapes, density: Activations) -> int:
    """Return the multiply-adds that activations of exactly zero save in one forward pass.

    They save their share of the second product of each feed-forward network; only weights that are
    not zero themselves count.

    Args:
        model: The model.
        shapes: The shapes of the inputs of the forward pass.
        density: The measured activation density of the model.
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
    """The counts of one feed-forward network."""

    block: str
    stack: str
    module: nn.Module
    real: int = 0
    padded: int = 0
    nonzero: int = 0
    above: Counter[float] = field(default_factory=Counter)
    windows: Counter[int] = field(default_factory=Counter)
    united: Counter[int] = field(default_factory=Counter)

    def add(self, values: Tensor, mask: Tensor | None) -> None:
        """Count the activations ``[batch, tokens, units]`` of one forward pass."""
        values = values.detach()
        mask = token_mask(mask, values)
        self.padded += values.numel()
        self.nonzero += int(values.count_nonzero())
        for sequence, kept in zip(values, mask, strict=True):
            sizes = sequence[kept].float().abs()
            self.real += sizes.numel()
            for threshold in THRESHOLDS:
                self.above[threshold] += int((sizes > threshold).sum())
            self._add_unions(sizes > THRESHOLD)

    def _add_unions(self, active: Tensor) -> None:
        """Count units that are active in windows of neighbouring tokens, whole windows only."""
        tokens, units = active.shape
        for width in UNIONS:
            count = tokens // width
            windows = active[: count * width].reshape(count, width, units)
            self.united[width] += int(windows.any(1).sum())
            self.windows[width] += count * units

    def record(self) -> LayerDensity:
        """Return the shares."""
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


def _record_pass(model: nn.Module, layers: Sequence[_Layer], batch: Inputs) -> tuple[Tensor, ...]:
    def hook(layer: _Layer) -> Callable[..., None]:
        mask = _mask(batch, layer.stack)
        return lambda _module, _inputs, output: layer.add(output, mask)

    with _hooks({layer.module: hook(layer) for layer in layers}):
        return output_logits(model(**batch))


def _without_small(
    model: nn.Module, layers: Sequence[_Layer], batch: Inputs, threshold: float
) -> tuple[Tensor, ...]:
    """Return the logits of a pass in which activations up to a threshold are set to zero."""

    def cut(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        return output.masked_fill(output.abs() <= threshold, 0.0)

    with _hooks({layer.module: cut for layer in layers}):
        return output_logits(model(**batch))


@contextmanager
def _hooks(hooks: Mapping[nn.Module, Callable[..., Any]]) -> Iterator[None]:
    handles = [module.register_forward_hook(hook) for module, hook in hooks.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _mask(batch: Inputs, stack: str) -> Tensor | None:
    """Return a boolean mask of the tokens of a stack that are not padding; None for all."""
    two_stacks = "decoder_input_ids" in batch
    name = "decoder_attention_mask" if two_stacks and stack == "decoder" else "attention_mask"
    mask = batch.get(name)
    return None if mask is None else mask.bool()


def _tokens(batch: Inputs) -> int:
    mask = batch.get("attention_mask")
    return batch["input_ids"].numel() if mask is None else int(mask.sum())
