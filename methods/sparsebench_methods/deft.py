"""DEFT: a fine-tuning method trained towards sparse activations."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pydantic import Field, model_validator

from sparsebench import Backbone, Family, Form, Method, MethodConfig, Stage, UserError
from sparsebench.method_registry import configure
from sparsebench.sparsity.activation_density import Surrogate, mean_surrogate
from sparsebench_methods.densities import attach, densities, detach

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

_WRAPPERS = ("deft", "ada_deft")


class DEFTConfig(MethodConfig):
    """Settings of ``deft``; learning rate and weight decay are the wrapped method's unless set."""

    wraps: str = "lora"
    """The method that trains under the density penalty."""

    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of that method."""

    surrogate: Surrogate = Surrogate.RATIO
    """What stands for "is not zero" in the penalty."""

    eps: float = Field(default=1e-7, gt=0)
    """Of the surrogate ``ratio``."""

    beta: float = Field(default=1.0, gt=0)
    """Of the surrogate ``tanh``."""

    encoder_weight: float = Field(default=1.0, ge=0)
    """Weight of the mean density of the encoder's layers: all of BERT and RoBERTa."""

    decoder_weight: float = Field(default=1.0, ge=0)
    """Weight of the mean density of the decoder's layers: all of GPT-2."""

    @model_validator(mode="before")
    @classmethod
    def _as_the_wrapped_method(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        wrapped = _wrapped(given.get("wraps", "lora"), given.get("settings", {})).config
        rates = {name: getattr(wrapped, name) for name in ("learning_rate", "weight_decay")}
        return {**rates, **given}


def _wrapped(name: Any, settings: Any) -> Method:
    if name in _WRAPPERS:
        raise ValueError(f"{name} cannot wrap itself; name a method such as lora")
    if not isinstance(name, str) or not isinstance(settings, dict):
        raise ValueError("wraps should be a name, and settings a mapping of keys to values")  # noqa: TRY004 - pydantic reports it
    try:
        return configure(name, settings)
    except UserError as error:
        raise ValueError(str(error)) from None


class DEFT(Method):
    """Density-efficient fine-tuning: another method, with a penalty on dense activations.

    The penalty is the mean over the layers of the mean over batch, tokens and neurons of a
    surrogate for "this activation is not zero". Padding counts, as in the authors' code. The
    activations are those of the backbone's feed-forward networks, never an adapter's own.

    Not to be confused with the tuner of the PEFT library of the same name.
    """

    Config: ClassVar[type[MethodConfig]] = DEFTConfig
    paper: ClassVar[str | None] = "arXiv:2402.01911"

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.inner: Method = _wrapped(self.config.wraps, self.config.settings)

    @property
    def starts_pretrained(self) -> bool:
        """As the wrapped method."""
        return self.inner.starts_pretrained

    @property
    def target_sparsity(self) -> float | None:
        """As the wrapped method."""
        return self.inner.target_sparsity

    def refuses(self, family: Family, form: Form) -> str | None:
        """Refuses what the wrapped method refuses."""
        return self.inner.refuses(family, form)

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Prepares the wrapped method, and listens to the activation functions."""
        anatomy = backbone.anatomy
        model = self.inner.prepare(backbone)
        config = self.config
        measure = partial(
            mean_surrogate, surrogate=config.surrogate, eps=config.eps, beta=config.beta
        )
        attach(backbone.model, anatomy, whole=model, measure=measure)
        self._stacks = {block.path: block.stack for block in anatomy.blocks}
        return model

    def stages(self) -> Sequence[Stage]:
        """Returns those of the wrapped method."""
        return self.inner.stages()

    def begin_stage(self, model: nn.Module, stage: Stage) -> None:
        """Does what the wrapped method does."""
        self.inner.begin_stage(model, stage)

    def before_step(self, model: nn.Module, progress: float) -> None:
        """Does what the wrapped method does."""
        self.inner.before_step(model, progress)

    def is_final(self, progress: float) -> bool:
        """Whether the wrapped method has its final form."""
        return self.inner.is_final(progress)

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Returns those of the wrapped method."""
        return self.inner.parameter_groups(model)

    def penalty(self, model: nn.Module) -> Tensor:
        """Returns the density penalty, and what the wrapped method adds of its own."""
        measured = densities(model)
        weights = {"encoder": self.config.encoder_weight, "decoder": self.config.decoder_weight}
        terms = []
        for stack, weight in weights.items():
            layers = [path for path in measured if self._stacks[path] == stack]
            if layers:
                values = torch.stack([measured[path] for path in layers])
                terms.append(weight * (self.layer_weights(model, layers) * values).sum())
        own = self.inner.penalty(model)
        return torch.stack(terms if own is None else [*terms, own]).sum()

    def layer_weights(self, model: nn.Module, layers: Sequence[str]) -> Tensor | float:  # noqa: ARG002
        """Returns how much the density of each layer of a stack counts; here, all the same.

        Args:
            model: The training view.
            layers: The paths of the stack's blocks.
        """
        return 1 / len(layers)

    def deploy(self, model: nn.Module) -> nn.Module:
        """Takes off what listened, and deploys as the wrapped method does."""
        detach(model)
        return self.inner.deploy(model)
