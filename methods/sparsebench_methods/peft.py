"""Any tuner of the PEFT library that fits the task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_validator

from sparsebench import Backbone, Family, Form, Method, MethodConfig, UnknownNameError, UserError
from sparsebench.models import attach_adapter
from sparsebench_methods import peft_tuners
from sparsebench_methods.peft_adalora import RankSchedule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

_REFUSALS = (
    AttributeError,
    ImportError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""The errors of PEFT for a configuration that does not fit the model."""


class PEFTConfig(MethodConfig):
    """Settings of ``peft``."""

    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak learning rate; the best one differs widely between tuners."""

    tuner: str = "lora"
    """The tuner, as PEFT calls it, in lower case: ``lora``, ``ia3``, ``prefix_tuning``, ..."""

    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of the tuner's configuration in PEFT; the others have PEFT's defaults."""

    @model_validator(mode="after")
    def _tuner_knows_its_settings(self) -> PEFTConfig:
        try:
            peft_tuners.check_settings(self.tuner, self.settings)
        except UnknownNameError as error:
            raise ValueError(str(error)) from None
        return self


class PEFT(Method):
    """Any tuner of the PEFT library, with the task head trained in full.

    A tuner that changes matrices trains in place, and deploy merges it. One that learns a prompt or
    a cache, or that PEFT cannot merge, is deployed as the model and its adapter. If PEFT has no
    default targets for a family, the query and value matrices are adapted. The number of virtual
    tokens is 20 unless set.

    AdaLoRA's ``tinit`` and ``tfinal`` are shares of its ``total_step``, whatever the run's length.
    PEFT's ``deft`` is not the method of arXiv:2402.01911.
    """

    Config: ClassVar[type[MethodConfig]] = PEFTConfig

    @property
    def starts_pretrained(self) -> bool:
        """Whether the tuner changes matrices: an untrained prompt already changes the outputs."""
        return not peft_tuners.is_prompt(self.tuner)

    @classmethod
    def variants(cls) -> Mapping[str, Mapping[str, Any]]:
        """Return every tuner of the installed PEFT, unless a subclass has chosen one."""
        if "tuner" not in cls.Config.model_fields:
            return {}
        return {tuner: {"tuner": tuner} for tuner in sorted(peft_tuners.tuners())}

    def refuses(self, family: Family, form: Form) -> str | None:
        """Refuse tuners that PEFT lacks for the family, or that do not fit the task."""
        return peft_tuners.refusal(self.tuner, self._settings, family=family, form=form)

    @property
    def tuner(self) -> str:
        """The name of the tuner."""
        return str(self.config.tuner)

    @property
    def _settings(self) -> dict[str, Any]:
        return dict(self.config.settings)

    def settings(self, backbone: Backbone) -> dict[str, Any]:
        """Return the arguments of the tuner's configuration for a backbone."""
        return {**peft_tuners.automatic(self.tuner, backbone), **self._settings}

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Add the tuner; its parameters and the head train, the rest is frozen.

        Returns:
            The backbone's own model, changed in place; for a prompt, a ``peft.PeftModel``.

        Raises:
            UserError: PEFT cannot adapt the model with these settings; the message has the reason.
        """
        if reason := self.refuses(backbone.family, backbone.form):
            raise UserError(reason)
        head = {id(backbone.model.get_parameter(name)) for name in backbone.head}
        try:
            config = peft_tuners.tuners()[self.tuner](**self.settings(backbone))
            self._adapted = attach_adapter(backbone.model, config)
        except _REFUSALS as error:
            raise UserError(
                f"the PEFT tuner {self.tuner!r} does not fit this {backbone.family} model with "
                f"these settings: {error}"
            ) from error
        view: nn.Module = self._adapted if config.is_prompt_learning else backbone.model
        if not any(parameter.requires_grad for parameter in view.parameters()):
            raise UserError(f"the PEFT tuner {self.tuner!r} found nothing to adapt in the model")
        for parameter in view.parameters():
            if id(parameter) in head:
                parameter.requires_grad = True
        self._ranks = RankSchedule(self._adapted) if self.tuner == "adalora" else None
        return view

    def before_step(self, model: nn.Module, progress: float) -> None:  # noqa: ARG002
        """Update AdaLoRA's ranks."""
        if self._ranks:
            self._ranks.advance(progress)

    def is_final(self, progress: float) -> bool:
        """Whether AdaLoRA's ranks are fixed."""
        return self._ranks is None or self._ranks.is_final(progress)

    def penalty(self, model: nn.Module) -> Tensor | None:  # noqa: ARG002
        """Return AdaLoRA's orthogonal regularisation."""
        return self._ranks.penalty() if self._ranks else None

    def deploy(self, model: nn.Module) -> nn.Module:
        """Merge the tuner into the matrices; keep a prompt, or a tuner that cannot be merged."""
        adapted: nn.Module = self._adapted
        if adapted is model:
            return model
        try:
            merged: nn.Module = self._adapted.merge_and_unload()
        except NotImplementedError:
            return adapted
        return merged
