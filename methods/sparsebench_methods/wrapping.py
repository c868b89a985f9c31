"""A method around another one: every call is passed on, unless a subclass adds to it."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from sparsebench import Method

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from sparsebench import Backbone, Family, Form, Stage, TrainingData


class WrappingMethod(Method):
    """Does what the wrapped method does.

    The optimizer and the loss are not passed on: rates and terms of the loss are what a subclass
    decides.
    """

    @property
    @abstractmethod
    def inner(self) -> Method:
        """The wrapped method."""

    @property
    def starts_pretrained(self) -> bool:
        """Whether the wrapped method starts with the logits of the pretrained model."""
        return self.inner.starts_pretrained

    @property
    def target_sparsity(self) -> float | None:
        """The sparsity that the wrapped method claims."""
        return self.inner.target_sparsity

    def refuses(self, family: Family, form: Form) -> str | None:
        """Return why the wrapped method cannot work on a family in a form, or None if it can."""
        return self.inner.refuses(family, form)

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Return the training view of the wrapped method."""
        return self.inner.prepare(backbone)

    def stages(self) -> Sequence[Stage]:
        """Return the stages of the wrapped method."""
        return self.inner.stages()

    def begin_stage(self, model: nn.Module, stage: Stage, data: TrainingData) -> None:
        """Begin a stage of the wrapped method."""
        self.inner.begin_stage(model, stage, data)

    def before_step(self, model: nn.Module, progress: float) -> None:
        """Update masks and schedules of the wrapped method."""
        self.inner.before_step(model, progress)

    def after_backward(self, model: nn.Module, progress: float) -> None:
        """Let the wrapped method see the gradients."""
        self.inner.after_backward(model, progress)

    def is_final(self, progress: float) -> bool:
        """Whether the wrapped method has its final form."""
        return self.inner.is_final(progress)

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Return the groups of the wrapped method."""
        return self.inner.parameter_groups(model)

    def deploy(self, model: nn.Module) -> nn.Module:
        """Deploy as the wrapped method does."""
        return self.inner.deploy(model)

    def remarks(self) -> Sequence[str]:
        """Return the remarks of the wrapped method."""
        return self.inner.remarks()
