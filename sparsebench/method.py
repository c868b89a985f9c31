"""The contract between the harness and a method: all that a plugin implements.

A method turns a backbone into a training view, trains it in the harness's one loop, and deploys a
plain model. The harness calls, in this order::

    method.refuses(family, form)               when the suite is planned, and again in the run
    method.teacher = the trained model that method.teacher_name names, if it names one
    view = method.prepare(backbone)            with the seed of the run set
    for stage in method.stages():
        method.begin_stage(view, stage, data)  in evaluation mode, with a seed of the stage set;
                                               may look at training examples
        method.optimizer(view)                 by default AdamW over method.parameter_groups(view)
        for every optimizer step:
            method.before_step(view, progress)
            for every micro-batch:
                method.loss(view, batch, outputs, task_loss)   and the backward pass
            method.after_backward(view, progress)              the gradients complete and clipped
            method.is_final(progress)          in the last stage, after a checkpoint is scored
    method.before_step(view, 1.0)
    model = method.deploy(view)                with the selected checkpoint loaded, in eval mode
    method.remarks()

``is_final(p)`` is called before ``before_step(p)``: the checkpoint has the form that the step
before it left. A resumed run calls ``prepare`` again, and for every stage up to the current one
``begin_stage`` on the state at the end of the stage before, so that it finds what it found the
first time; then it loads the checkpoint. All that a method learns or decides must therefore be
parameters or buffers of the view, or state of the optimizer: a checkpoint holds nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from sparsebench.errors import UserError
from sparsebench.schema.base import FrozenModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor, nn
    from torch.optim import Optimizer

    from sparsebench.models import Backbone, Family, Form


class MethodConfig(FrozenModel):
    """The settings of a method. A subclass gives every field a default and a description."""

    learning_rate: float = Field(default=5e-5, gt=0)
    """Peak learning rate."""

    head_learning_rate: float | None = Field(default=None, gt=0)
    """Peak learning rate of the task head; null for ``learning_rate``."""

    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay of all that trains, except biases and normalisation."""

    @model_serializer(mode="wrap")
    def _without_default_head_rate(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave an unset ``head_learning_rate`` out, so that older run keys and results hold."""
        content: dict[str, Any] = handler(self)
        if content.get("head_learning_rate", ...) is None:
            del content["head_learning_rate"]
        return content


@dataclass(frozen=True)
class Stage:
    """One phase of training, with an optimizer and a learning-rate schedule of its own.

    Attributes:
        name: The name of the phase, such as ``"tune"``.
        share: Its share of the run's one budget; the shares of all stages sum to 1.
        learning_rate: A factor on the peak learning rates of all groups in this phase.
    """

    name: str
    share: float
    learning_rate: float = 1.0


class TrainingData(Protocol):
    """The training examples that a method may look at when a stage begins.

    They are paid for: every ``training.batch_size`` of them take one optimizer step off the stage,
    unless the suite says ``calibration: free``. Examples of a split that is reported or held out
    are not among them.
    """

    def batches(self, examples: int, size: int | None = None) -> Iterator[Mapping[str, Tensor]]:
        """Yield training examples in batches, so that ``model(**batch).loss`` is the task loss.

        All processes of a run get the same batches, in an order that the seed decides, and a
        second call continues where the first one ended.

        Args:
            examples: The number of examples; of a smaller training set, some come again.
            size: Examples per batch; None for those of a forward pass in training.

        Yields:
            Tensors ``[size, ...]`` on the device of the model, the last batch perhaps smaller.

        Raises:
            UserError: They are more than the stage can pay for with a step left to train.
        """
        ...


class Method(ABC):
    """A way to fine-tune a backbone.

    A subclass declares its settings in ``Config`` and its paper in ``paper``; ``sparsebench show``
    prints its docstring. ``starts_pretrained`` and ``target_sparsity`` are claims, which
    ``sparsebench check`` verifies.

    Args:
        config: The settings, an instance of ``Config``.
    """

    Config: ClassVar[type[MethodConfig]] = MethodConfig
    """The class of the settings."""

    paper: ClassVar[str | None] = None
    """The paper, such as ``"arXiv:2106.09685"``."""

    version: ClassVar[str] = "1"
    """Change it when results change: results of another version are not reused."""

    profile_settings: ClassVar[Mapping[str, Any]] = {}
    """Defaults that ``sparsebench profile`` uses instead: the costs of the deployed model are the
    same, and an untrained model is prepared faster."""

    expected_failures: ClassVar[Mapping[str, str]] = {}
    """The checks that the method is known to fail, each with the reason."""

    teacher: Any = None
    """The trained transformers model that the method learns from; None without a teacher. It is set
    before ``prepare``, frozen, in evaluation mode and on the device of the run, and called with the
    batch it computes without gradients, in the precision of the run."""

    def __init__(self, config: Any = None) -> None:
        self.config: Any = config if config is not None else self.Config()

    @property
    def teacher_name(self) -> str | None:
        """The teacher: the label of another row of the suite, a folder or a Hub id; None for none.

        By default the setting ``teacher``, if the method has one.
        """
        name: str | None = getattr(self.config, "teacher", None)
        return name

    @property
    def starts_pretrained(self) -> bool:
        """Whether the view that ``prepare`` returns has the logits of the pretrained model."""
        return True

    @property
    def target_sparsity(self) -> float | None:
        """The share of the blocks' weights that is zero in the deployed model; None: no claim."""
        return None

    @property
    def learns_sparsity(self) -> bool:
        """Whether training decides how many weights or parts are removed.

        If so, the costs of an untrained model are not those of a trained one.
        """
        return False

    @classmethod
    def variants(cls) -> Mapping[str, Mapping[str, Any]]:
        """Return settings that decide what the method refuses, each with a name.

        ``sparsebench list methods --matrix`` has a row for each; without any, one for the defaults.
        """
        return {}

    def refuses(self, family: Family, form: Form) -> str | None:  # noqa: ARG002
        """Return why the method cannot work on a family in a form, or None if it can."""
        return None

    @abstractmethod
    def prepare(self, backbone: Backbone) -> nn.Module:
        """Turn a backbone into the training view.

        Afterwards ``requires_grad`` says what trains. The backbone's model may be changed in place
        and returned; ``backbone.anatomy`` describes its parts.
        """

    def stages(self) -> Sequence[Stage]:
        """Return the phases of training; by default a single one."""
        return (Stage("train", 1.0),)

    def begin_stage(  # noqa: B027 - optional
        self, model: nn.Module, stage: Stage, data: TrainingData
    ) -> None:
        """Change what trains, or the shapes, before the optimizer of a stage is created.

        Args:
            model: The training view, in evaluation mode.
            stage: One of ``stages``.
            data: Training examples to decide by, until this call returns.
        """

    def before_step(self, model: nn.Module, progress: float) -> None:  # noqa: B027 - optional
        """Update masks or schedules before every optimizer step.

        Args:
            model: The training view.
            progress: The used share of the whole budget, from 0 (before the first step) to 1
                (once more after the last step): schedules never count raw steps.
        """

    def is_final(self, progress: float) -> bool:  # noqa: ARG002
        """Whether the model already has its final form, so that a checkpoint may be selected.

        A method that sparsifies on a schedule returns False until its target is reached.
        """
        return True

    def loss(
        self,
        model: nn.Module,
        batch: Mapping[str, Tensor],  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        task_loss: Tensor,
    ) -> Tensor:
        """Return the loss of a micro-batch; by default the task loss plus the penalty.

        The harness weights the losses of all micro-batches and devices by their targets, so that
        together they are the loss of the whole batch.

        Args:
            model: The training view.
            batch: What the model was called with, the labels included.
            outputs: What it returned, such as ``outputs.logits``.
            task_loss: Its loss, a scalar.
        """
        penalty = self.penalty(model)
        return task_loss if penalty is None else task_loss + penalty

    def penalty(self, model: nn.Module) -> Tensor | None:  # noqa: ARG002
        """Return a scalar to add to the task loss of the last forward pass, or None."""
        return None

    def after_backward(self, model: nn.Module, progress: float) -> None:  # noqa: B027 - optional
        """Look at the gradients of a step, or change them, before the optimizer uses them.

        Args:
            model: The training view; its gradients are complete, and clipped if the suite clips.
            progress: That of ``before_step``.
        """

    def optimizer(self, model: nn.Module) -> Optimizer:
        """Return the optimizer of a stage; by default AdamW over ``parameter_groups``.

        Each of its groups needs a peak learning rate ``lr``: the suite's schedule scales it. What
        it learns must be in its ``state_dict``, which a checkpoint holds.
        """
        from torch.optim import AdamW

        groups: object = self.parameter_groups(model)
        if not isinstance(groups, list) or not groups or not isinstance(groups[0], dict):
            raise UserError(
                f"the method's parameter_groups() returned {groups!r:.80}: return a list of groups"
            )
        return AdamW(
            groups,
            lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
            fused=True,  # one pass over memory; the unfused one takes half of a short step on a CPU
        )

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Return the optimizer's groups; values that a group does not set are those of the config.

        By default all that trains is in two groups: matrices, with the weight decay of the config,
        and vectors (biases, normalisation), without weight decay. If ``head_learning_rate`` is set,
        the task head has two such groups of its own. Its parameters are those with the attribute
        ``task_head``, which ``Backbone`` sets; a parameter that replaces one of them needs it too.
        """
        trained = [p for p in model.parameters() if p.requires_grad]
        rate = self.config.head_learning_rate
        head = {id(p) for p in trained if rate is not None and getattr(p, "task_head", False)}
        body = [p for p in trained if id(p) not in head]
        groups: list[dict[str, Any]] = _by_weight_decay(body)
        if head:
            of_head = _by_weight_decay([p for p in trained if id(p) in head])
            groups += [{**group, "lr": rate} for group in of_head]
        return [group for group in groups if group["params"]]

    def deploy(self, model: nn.Module) -> nn.Module:
        """Turn the trained view into the plain model that is saved, reloaded and measured.

        No hook, mask or parametrization of the method may remain. By default the training view is
        deployed as it is.
        """
        return model

    def remarks(self) -> Sequence[str]:
        """Return remarks on the deployed model for the notes below a table; called after deploy."""
        return ()


def _by_weight_decay(parameters: list[nn.Parameter]) -> list[dict[str, Any]]:
    """Return a group of matrices, and one of vectors without weight decay."""
    return [
        {"params": [p for p in parameters if p.ndim > 1]},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
