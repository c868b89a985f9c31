"""The contract between the harness and a method: all that the author of a plugin implements.

A method turns a backbone into a training view, trains it through the harness's one loop, and ends
in a plain model. The harness calls, in this order::

    model = method.prepare(backbone)
    for stage in method.stages():
        method.begin_stage(model, stage)
        for every optimizer step:
            method.before_step(model, progress)
            loss = task_loss + method.penalty(model)
    model = method.deploy(model)

What a method learns or decides must live in the model, as parameters or buffers: that is what a
checkpoint saves and what a resumed run gets back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from sparsebench.schema.base import FrozenModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from sparsebench.models import Backbone, Family, Form


class MethodConfig(FrozenModel):
    """The settings of a method; subclass it, and give every field a default and a description."""

    learning_rate: float = Field(default=5e-5, gt=0)
    """Peak learning rate."""

    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay of what trains, biases and normalisation apart."""


@dataclass(frozen=True)
class Stage:
    """One phase of training, with an optimizer and a learning-rate schedule of its own.

    Attributes:
        name: What the phase does, such as ``"tune"``.
        share: Its share of the run's one budget; the shares of all stages sum to 1.
    """

    name: str
    share: float


class Method(ABC):
    """A way to fine-tune a backbone.

    A subclass states its settings in ``Config``, and who described it in ``paper``; its docstring
    is what ``sparsebench show`` prints. ``starts_pretrained`` and ``target_sparsity`` are what it
    promises, and ``sparsebench check`` holds it to them.

    Args:
        config: The settings, an instance of ``Config``.
    """

    Config: ClassVar[type[MethodConfig]] = MethodConfig
    """The class of the settings."""

    paper: ClassVar[str | None] = None
    """The paper, such as ``"arXiv:2106.09685"``."""

    version: ClassVar[str] = "1"
    """Change it when results change: runs made with another version are not reused."""

    stand_ins: ClassVar[Mapping[str, Any]] = {}
    """Settings under which costs are the same and an untrained model is made sooner: what
    ``sparsebench profile`` uses where the user sets nothing else."""

    expected_failures: ClassVar[Mapping[str, str]] = {}
    """Name of a check that the method is known to fail -> the reason."""

    def __init__(self, config: Any = None) -> None:
        self.config: Any = config if config is not None else self.Config()

    @property
    def starts_pretrained(self) -> bool:
        """Whether what ``prepare`` returns answers, untrained, as the pretrained model does."""
        return True

    @property
    def target_sparsity(self) -> float | None:
        """The share of the weights of the blocks that is zero in what ships; None if not set."""
        return None

    @property
    def learns_sparsity(self) -> bool:
        """Whether how many weights or parts go is learned, so that an untrained model hides it."""
        return False

    def refuses(self, family: Family, form: Form) -> str | None:  # noqa: ARG002
        """Returns why the method cannot work on such a backbone, or None if it can."""
        return None

    @abstractmethod
    def prepare(self, backbone: Backbone) -> nn.Module:
        """Turns a backbone into the training view.

        Afterwards ``requires_grad`` says what trains. The backbone's model may be changed in place
        and returned; ``backbone.anatomy`` tells its parts.
        """

    def stages(self) -> Sequence[Stage]:
        """Returns the phases of training; by default a single one."""
        return (Stage("train", 1.0),)

    def begin_stage(self, model: nn.Module, stage: Stage) -> None:  # noqa: B027 - optional
        """Is called before a stage's optimizer is made; may change what trains, and the shapes."""

    def before_step(self, model: nn.Module, progress: float) -> None:  # noqa: B027 - optional
        """Is called before every optimizer step.

        Args:
            model: The training view.
            progress: The share of the whole budget that is spent, from 0 (before the first step)
                to 1 (called once more after the last): schedules never count in raw steps.
        """

    def is_final(self, progress: float) -> bool:  # noqa: ARG002
        """Whether the model already has its final form, so that a checkpoint may be selected.

        A method that sparsifies on a schedule returns False until its target is reached.
        """
        return True

    def penalty(self, model: nn.Module) -> Tensor | None:  # noqa: ARG002
        """Returns a scalar to add to the task loss of the forward pass just made, or None."""
        return None

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Returns the optimizer's groups; what a group does not set is as the config says.

        By default everything that trains is one group, with the weight decay of the config on
        matrices and none on vectors (biases, normalisation).
        """
        trained = [p for p in model.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [p for p in trained if p.ndim > 1]},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return [group for group in groups if group["params"]]

    def deploy(self, model: nn.Module) -> nn.Module:
        """Turns the trained view into the plain model that ships and is measured.

        No hook, mask or parametrization of the method may remain. By default the training view
        ships as it is.
        """
        return model
