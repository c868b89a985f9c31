"""Distillation: another method that learns from the outputs of a trained model too."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from pydantic import Field, model_validator
from torch.nn import functional

from sparsebench import Form, Method, MethodConfig, UserError
from sparsebench.method_registry import METHODS, configure
from sparsebench.models import IGNORED
from sparsebench_methods.hidden_states import HiddenStates, hidden_loss
from sparsebench_methods.wrapping import WrappingMethod

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from sparsebench import Backbone


class DistillConfig(MethodConfig):
    """Settings of ``distill``; the rates are those of the student, unless they are given here."""

    teacher: str = "full"
    """The trained model: the label of another row of the suite, a folder or a Hub id."""

    student: str = "full"
    """The method that trains, by its registered name."""

    settings: dict[str, Any] = Field(default_factory=dict)
    """The settings of the student."""

    temperature: float = Field(default=2.0, gt=0)
    """The temperature by which the logits of both are divided before the softmax."""

    alpha: float = Field(default=0.9, ge=0, le=1)
    """The weight of the distillation loss; that of the task loss is 1 minus it."""

    hidden: float = Field(default=0.0, ge=0)
    """The weight of the mean squared difference between hidden states; 0 leaves it out."""

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        """Complete the settings of the student, and take its rates where none are given."""
        if not isinstance(values, dict):
            return values
        student, settings = values.get("student", "full"), values.get("settings", {})
        if not isinstance(student, str) or not isinstance(settings, dict):
            return values  # refused by its field
        rates = {name: values[name] for name in MethodConfig.model_fields if name in values}
        try:
            if issubclass(METHODS.get(student), Distill):
                raise ValueError(  # noqa: TRY004 - pydantic reports no TypeError
                    "student: 'distill' cannot train itself; name another method"
                )
            method = configure(student, {**settings, **rates})
        except UserError as error:
            raise ValueError(f"student: {error}") from None
        if method.teacher_name is not None:
            raise ValueError(f"student: {student!r} has a teacher of its own; name another method")
        content = method.config.model_dump(mode="json")
        own = {name: content.pop(name, None) for name in MethodConfig.model_fields}
        return {**own, **values, "settings": content}


class Distill(WrappingMethod):
    """Trains another method on the outputs of a trained model, and on the labels.

    The loss is ``(1 - alpha) * task loss + alpha * T^2 * KL(teacher || student)``, of softmaxes at
    the temperature T, plus what the student adds to the task loss. Everything else is the
    student's: what trains, masks, stages, optimizer, deployed model.
    """

    Config = DistillConfig
    paper = "arXiv:1503.02531"
    config: DistillConfig

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        own = METHODS.get(self.config.student).version
        vars(self)["version"] = f"{type(self).version}+{own}"  # either may change results
        self._form = Form.CLASSIFICATION
        self._own: HiddenStates | None = None
        self._given: HiddenStates | None = None

    @cached_property
    def student(self) -> Method:
        """The method that trains."""
        rates = {name: getattr(self.config, name) for name in MethodConfig.model_fields}
        return configure(self.config.student, {**self.config.settings, **rates})

    @property
    def inner(self) -> Method:
        """The student."""
        return self.student

    @property
    def profile_settings(self) -> Mapping[str, Any]:  # type: ignore[override]
        """The student's defaults for ``sparsebench profile``."""
        settings = self.student.profile_settings
        return {"settings": settings} if settings else {}

    @property
    def expected_failures(self) -> Mapping[str, str]:  # type: ignore[override]
        """The checks that the student is known to fail."""
        return self.student.expected_failures

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Return the student's training view; note hidden states if they are used.

        Raises:
            UserError: The hidden states of teacher and backbone have different widths.
        """
        self._form = backbone.form
        view = super().prepare(backbone)
        if self.config.hidden:
            own, given = backbone.model.config.hidden_size, self.teacher.config.hidden_size
            if own != given:
                raise UserError(
                    f"hidden: the hidden states of the teacher have {given} units, those of the "
                    f"backbone {own}: set hidden to 0"
                )
            self._own = HiddenStates(backbone.model)
            self._given = HiddenStates(self.teacher, teaches=True)
        return view

    def penalty(self, model: nn.Module) -> Tensor | None:
        """Return the student's penalty, which ``loss`` contains."""
        return self.student.penalty(model)

    def loss(
        self, model: nn.Module, batch: Mapping[str, Tensor], outputs: Any, task_loss: Tensor
    ) -> Tensor:
        """Return the student's loss, a part of the task loss replaced by distillation."""
        config = self.config
        given = self.teacher(**batch)
        distilled = logits_loss(
            outputs, given, batch=batch, form=self._form, temperature=config.temperature
        )
        own = super().loss(model, batch, outputs, task_loss)
        loss = own + config.alpha * (distilled - task_loss)
        if self._own and self._given:
            real = dict.fromkeys(("encoder", "decoder"), batch["attention_mask"] > 0)
            if self._form is Form.TEXT_TO_TEXT:
                real["decoder"] = batch["labels"] != IGNORED
            states = self._own.take(), self._given.take()
            loss = loss + config.hidden * hidden_loss(*states, real=real)
        return loss

    def deploy(self, model: nn.Module) -> nn.Module:
        """Return the student's deployed model, without a trace of the teacher."""
        for states in (self._own, self._given):
            if states is not None:
                states.remove()
        return super().deploy(model)


def logits_loss(
    student: Any, teacher: Any, *, batch: Mapping[str, Tensor], form: Form, temperature: float
) -> Tensor:
    """Return the distillation loss of the logits of a batch, a scalar.

    Classes: ``T^2 * KL(teacher || student)``, the mean over examples; for a regression, the mean
    squared difference. Spans: the mean of both ends, over the tokens of the input. Text: the mean
    over the tokens that have a label.

    Args:
        student: The outputs of the training view.
        teacher: The outputs of the teacher.
        batch: What both were called with.
        form: The form of the backbone.
        temperature: T.
    """
    if form is Form.SPAN:
        padding = batch["attention_mask"] == 0
        ends = [
            _divergence(
                getattr(student, name).masked_fill(padding, _lowest(getattr(student, name))),
                getattr(teacher, name).masked_fill(padding, _lowest(getattr(teacher, name))),
                temperature,
            )
            for name in ("start_logits", "end_logits")
        ]
        return torch.stack(ends).mean()
    own, given = student.logits, teacher.logits
    if form is Form.CLASSIFICATION:
        if given.shape[-1] == 1:
            return functional.mse_loss(own, given)
        return _divergence(own, given, temperature)
    labels = batch["labels"]
    own = own[:, -given.shape[1] :]  # without the positions of virtual tokens before the input
    if form is Form.LANGUAGE_MODEL:  # each position predicts the next token
        own, given, labels = own[:, :-1], given[:, :-1], labels[:, 1:]
    counted = labels != IGNORED
    return _divergence(own[counted], given[counted], temperature)


def _lowest(logits: Tensor) -> float:
    return torch.finfo(logits.dtype).min / 2


def _divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return ``T^2 * KL`` of logits ``[rows, classes]``, the mean over the rows; 0 without rows."""
    given = functional.log_softmax(teacher.float() / temperature, dim=-1)
    own = functional.log_softmax(student.float() / temperature, dim=-1)
    total = functional.kl_div(own, given, reduction="sum", log_target=True)
    return total * temperature**2 / max(1, len(student))
