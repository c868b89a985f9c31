"""Reads the activation density of every feed-forward network off a forward pass."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from sparsebench import UserError
from sparsebench.models import ModuleWrapper

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from torch.utils.hooks import RemovableHandle

    from sparsebench import Anatomy


@dataclass
class Meter:
    """Collects one value a layer and forward pass.

    It listens from the beginning of a forward pass of the whole model to its end. What is computed
    again later, as gradient checkpointing does in the backward pass, is not heard.

    Attributes:
        measure: Maps activations to a scalar.
    """

    measure: Callable[[Tensor], Tensor]
    _listening: bool = False
    _values: dict[str, list[Tensor]] = field(default_factory=lambda: defaultdict(list))
    _handles: list[RemovableHandle] = field(default_factory=list)

    def listen_to(self, model: nn.Module) -> None:
        """Listens to the forward passes of a model."""
        start = model.register_forward_pre_hook(self._start)
        self._handles = [start, model.register_forward_hook(self._stop, always_call=True)]

    def leave(self) -> None:
        """Stops listening for good."""
        for handle in self._handles:
            handle.remove()

    def hear(self, layer: str, activations: Tensor) -> None:
        """Measures the activations of a layer."""
        value = self.measure(activations)  # in every case, or checkpointing would see a difference
        if self._listening:
            self._values[layer].append(value)

    def take(self, layer: str) -> Tensor:
        """Returns the value of a layer in the forward pass just made, and forgets it.

        Raises:
            UserError: There is not exactly one.
        """
        values = self._values.pop(layer, [])
        if len(values) != 1:
            raise UserError(
                f"the activations of {layer} were seen {len(values)} times in a forward pass in "
                "training, not once; gradient checkpointing must be of the non-reentrant kind"
            )
        return values[0]

    def _start(self, *_: Any) -> None:
        self._values.clear()
        self._listening = True

    def _stop(self, *_: Any) -> None:
        self._listening = False


class Heard(ModuleWrapper):
    """An activation function whose outputs a meter hears in training.

    Args:
        inner: The activation function.
        layer: The path of the block.
        meter: The meter.
    """

    def __init__(self, inner: nn.Module, *, layer: str, meter: Meter) -> None:
        super().__init__(inner)
        self.layer = layer
        self.meter = meter

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns the activations."""
        activations: Tensor = self.inner(inputs)
        if self.training and torch.is_grad_enabled():
            self.meter.hear(self.layer, activations)
        return activations


def attach(
    model: nn.Module, anatomy: Anatomy, *, whole: nn.Module, measure: Callable[[Tensor], Tensor]
) -> None:
    """Lets a meter hear every activation function of a feed-forward network, in place.

    Args:
        model: The transformers model.
        anatomy: Its anatomy.
        whole: What is called in training: the model, or what was wrapped around it.
        measure: Maps activations to a scalar.
    """
    meter = Meter(measure)
    meter.listen_to(whole)
    for block in anatomy.blocks:
        if block.ffn is not None:
            path = block.ffn.activation
            heard = Heard(model.get_submodule(path), layer=block.path, meter=meter)
            model.set_submodule(path, heard)


def densities(model: nn.Module) -> dict[str, Tensor]:
    """Returns what was measured in the forward pass just made, by the path of the block.

    Raises:
        UserError: A layer was not heard exactly once.
    """
    heard = [module for module in model.modules() if isinstance(module, Heard)]
    return {module.layer: module.meter.take(module.layer) for module in heard}


def detach(model: nn.Module) -> None:
    """Takes the meter off a model, in place."""
    heard = [(path, m) for path, m in model.named_modules() if isinstance(m, Heard)]
    for path, module in heard:
        module.meter.leave()
        model.set_submodule(path, module.inner)
