"""DEFT: fine-tuning with a penalty on the density of the activations."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pydantic import Field, model_validator

from sparsebench import Backbone, Method, MethodConfig, UserError
from sparsebench.method_registry import configure
from sparsebench.models import IGNORED, ModuleWrapper, unwrap
from sparsebench.sparsity.activation_density import Surrogate, mean_surrogate
from sparsebench_methods.wrapping import WrappingMethod

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn
    from torch.utils.hooks import RemovableHandle

    from sparsebench import Anatomy

_WRAPPERS = ("deft", "ada_deft")


class DEFTConfig(MethodConfig):
    """Settings of ``deft``; learning rate and weight decay default to the wrapped method's."""

    wraps: str = "lora"
    """The method that trains under the penalty."""

    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of that method."""

    surrogate: Surrogate = Surrogate.RATIO
    """The differentiable function that approximates "is not zero" in the penalty."""

    eps: float = Field(default=1e-7, gt=0)
    """The constant of the surrogate ``ratio``."""

    beta: float = Field(default=1.0, gt=0)
    """The constant of the surrogate ``tanh``."""

    padding: bool = False
    """Whether padding counts in the density, as in the authors' code."""

    encoder_weight: float = Field(default=0.1, ge=0)
    """Weight of the mean density of the encoder's layers: all layers of BERT and RoBERTa."""

    decoder_weight: float = Field(default=0.1, ge=0)
    """Weight of the mean density of the decoder's layers: all layers of GPT-2."""

    @model_validator(mode="before")
    @classmethod
    def _rates_of_the_wrapped_method(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        wrapped = _wrapped(given.get("wraps", "lora"), given.get("settings", {})).config
        names = ("learning_rate", "head_learning_rate", "weight_decay")
        rates = {name: getattr(wrapped, name) for name in names}
        return {**rates, **given}


def _wrapped(name: Any, settings: Any) -> Method:
    if name in _WRAPPERS:
        raise ValueError(f"{name} cannot wrap itself; name a method such as lora")
    if not isinstance(name, str) or not isinstance(settings, dict):
        raise ValueError("wraps should be a name, and settings a mapping of keys to values")  # noqa: TRY004 - pydantic reports it
    try:
        method = configure(name, settings)
    except UserError as error:
        raise ValueError(str(error)) from None
    if method.teacher_name is not None:
        raise ValueError(f"{name} has a teacher: let it wrap deft, with student: deft")
    return method


class DEFT(WrappingMethod):
    """Density-efficient fine-tuning: another method, with a penalty on dense activations.

    The penalty is the mean over layers of the mean over tokens and neurons of a surrogate for "this
    activation is not zero". The activations are those of the backbone's feed-forward networks, not
    those of an adapter.

    The authors count padding too, of every example to the maximum length, with a weight of 1. Here
    the mean is over real tokens, on which a weight of 1 would press several times as hard.

    The tuner of the same name in the PEFT library is another method.
    """

    Config: ClassVar[type[MethodConfig]] = DEFTConfig
    paper: ClassVar[str | None] = "arXiv:2402.01911"
    version: ClassVar[str] = "2"

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        rates = {name: getattr(self.config, name) for name in MethodConfig.model_fields}
        self._inner = _wrapped(self.config.wraps, {**self.config.settings, **rates})

    @property
    def inner(self) -> Method:
        """The method that trains under the penalty."""
        return self._inner

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Prepare the wrapped method, and measure the activations of every FFN."""
        anatomy = backbone.anatomy
        model = super().prepare(backbone)
        config = self.config
        measure = partial(
            mean_surrogate, surrogate=config.surrogate, eps=config.eps, beta=config.beta
        )
        padding = config.padding
        add_meters(backbone.model, anatomy, whole=model, measure=measure, padding=padding)
        self._stacks = {block.path: block.stack for block in anatomy.blocks}
        return model

    def penalty(self, model: nn.Module) -> Tensor:
        """Return the density penalty, which is added to the loss of the wrapped method."""
        measured = densities(model)
        weights = {"encoder": self.config.encoder_weight, "decoder": self.config.decoder_weight}
        terms = []
        for stack, weight in weights.items():
            layers = [path for path in measured if self._stacks[path] == stack]
            if layers:
                values = torch.stack([measured[path] for path in layers])
                terms.append(weight * (self.layer_weights(model, layers) * values).sum())
        return torch.stack(terms).sum()

    def loss(
        self, model: nn.Module, batch: Mapping[str, Tensor], outputs: Any, task_loss: Tensor
    ) -> Tensor:
        """Return the loss of the wrapped method plus the penalty."""
        return super().loss(model, batch, outputs, task_loss) + self.penalty(model)

    def layer_weights(self, model: nn.Module, layers: Sequence[str]) -> Tensor | float:  # noqa: ARG002
        """Return the weight of the density of each layer of a stack, here the same for all.

        Args:
            model: The training view.
            layers: The paths of the stack's blocks.
        """
        return 1 / len(layers)

    def deploy(self, model: nn.Module) -> nn.Module:
        """Take the measurement off, and deploy as the wrapped method does."""
        remove_meters(model)
        return super().deploy(model)


@dataclass
class Meter:
    """Collects one value for each layer in a forward pass.

    It records between the start and the end of a forward pass of the whole model. Recomputation
    later, as by gradient checkpointing in the backward pass, is not recorded.

    Attributes:
        measure: Maps activations, and ``mask=`` for the real tokens, to a scalar.
        padding: Whether padding counts.
    """

    measure: Callable[..., Tensor]
    padding: bool
    _recording: bool = False
    _masks: dict[str, Tensor | None] = field(default_factory=dict)
    _values: dict[str, list[Tensor]] = field(default_factory=lambda: defaultdict(list))
    _handles: list[RemovableHandle] = field(default_factory=list)

    def hook(self, model: nn.Module) -> None:
        """Record the forward passes of a model from now on."""
        start = model.register_forward_pre_hook(self._start, with_kwargs=True)
        self._handles = [start, model.register_forward_hook(self._stop, always_call=True)]

    def unhook(self) -> None:
        """Stop recording for good."""
        for handle in self._handles:
            handle.remove()

    def add(self, layer: str, activations: Tensor, *, stack: str) -> None:
        """Measure the activations of a layer."""
        mask = self._masks.get(stack)
        value = self.measure(activations, mask=mask)  # always: checkpointing compares the operators
        if self._recording:
            self._values[layer].append(value)

    def take(self, layer: str) -> Tensor:
        """Return the value of a layer in the last forward pass, and forget it.

        Raises:
            UserError: There is not exactly one value.
        """
        values = self._values.pop(layer, [])
        if len(values) != 1:
            raise UserError(
                f"the activations of {layer} were seen {len(values)} times in a forward pass in "
                "training, not once; gradient checkpointing must be of the non-reentrant kind"
            )
        return values[0]

    def _start(self, model: nn.Module, _: tuple[Any, ...], batch: dict[str, Any]) -> None:
        self._values.clear()
        self._masks = {} if self.padding else _real_tokens(model, batch)
        self._recording = True

    def _stop(self, *_: Any) -> None:
        self._recording = False


def _real_tokens(model: nn.Module, batch: Mapping[str, Any]) -> dict[str, Tensor | None]:
    """Return which tokens of each stack are not padding, None for all of them.

    The decoder behind an encoder reads the labels, shifted by one.
    """
    mask = batch.get("attention_mask")
    if not getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        return {"encoder": mask, "decoder": mask}
    labels = batch.get("labels")
    return {"encoder": mask, "decoder": None if labels is None else labels != IGNORED}


class Metered(ModuleWrapper):
    """An activation function whose outputs a meter measures in training.

    Args:
        inner: The activation function.
        layer: The path of the block.
        stack: The stack of the block.
        meter: The meter.
    """

    def __init__(self, inner: nn.Module, *, layer: str, stack: str, meter: Meter) -> None:
        super().__init__(inner)
        self.layer = layer
        self.stack = stack
        self.meter = meter

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the activations."""
        activations: Tensor = self.inner(inputs)
        if self.training and torch.is_grad_enabled():
            self.meter.add(self.layer, activations, stack=self.stack)
        return activations


def add_meters(
    model: nn.Module,
    anatomy: Anatomy,
    *,
    whole: nn.Module,
    measure: Callable[..., Tensor],
    padding: bool,
) -> None:
    """Measure the outputs of the activation function of every FFN, in place.

    Args:
        model: The transformers model.
        anatomy: Its anatomy.
        whole: The module that training calls: the model, or a wrapper around it.
        measure: Maps activations, and ``mask=`` for the real tokens, to a scalar.
        padding: Whether padding counts.
    """
    meter = Meter(measure, padding)
    meter.hook(whole)
    for block in anatomy.blocks:
        if block.ffn is not None:
            path = block.ffn.activation
            inner = model.get_submodule(path)
            metered = Metered(inner, layer=block.path, stack=block.stack, meter=meter)
            model.set_submodule(path, metered)


def densities(model: nn.Module) -> dict[str, Tensor]:
    """Return the values of the last forward pass, by the path of the block.

    Raises:
        UserError: A layer was not measured exactly once.
    """
    metered = [module for module in model.modules() if isinstance(module, Metered)]
    return {module.layer: module.meter.take(module.layer) for module in metered}


def remove_meters(model: nn.Module) -> None:
    """Take all meters off a model, in place."""
    for metered in unwrap(model, Metered):
        metered.meter.unhook()
