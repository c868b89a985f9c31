"""A method around another one: every call is passed on, unless a subclass adds to it."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from sparsebench import Method

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn
    from torch.optim import Optimizer

    from sparsebench import Backbone, Family, Form, Stage, TrainingData


class WrappingMethod(Method):
    """Does what the wrapped method does, with the same rates; a subclass adds to the loss."""

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

    @property
    def learns_sparsity(self) -> bool:
        """Whether the wrapped method learns how much is removed."""
        return self.inner.learns_sparsity

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

    def loss(
        self, model: nn.Module, batch: Mapping[str, Tensor], outputs: Any, task_loss: Tensor
    ) -> Tensor:
        """Return the loss of the wrapped method."""
        return self.inner.loss(model, batch, outputs, task_loss)

    def optimizer(self, model: nn.Module) -> Optimizer:
        """Return the optimizer that the wrapped method brings, or the usual one."""
        brings_one = type(self.inner).optimizer is not Method.optimizer
        return self.inner.optimizer(model) if brings_one else super().optimizer(model)

    def deploy(self, model: nn.Module) -> nn.Module:
        """Deploy as the wrapped method does."""
        return self.inner.deploy(model)

    def remarks(self) -> Sequence[str]:
        """Return the remarks of the wrapped method."""
        return self.inner.remarks()
