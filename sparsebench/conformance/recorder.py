"""A method that passes every call on to another one, and records what that one does."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from sparsebench.conformance.process_state import changed, observe
from sparsebench.method import Method
from sparsebench.method_registry import deployed_model, prepared, remarks
from sparsebench.sparsity import Masked, attached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor, nn
    from torch.optim import Optimizer

    from sparsebench.method import Stage, TrainingData
    from sparsebench.models import Backbone, Family, Form

RATES = {"learning_rate": 1e-2, "weight_decay": 1e-2}
"""The rates of every method: all that trains must change clearly in a few steps."""


@dataclass
class StageNotes:
    """The notes on one stage.

    Attributes:
        before: The parameters before its first step.
        trains: The names of those with ``requires_grad``.
        grouped: The name of each parameter in the optimizer's groups, as often as it is there.
        moved: The names of those that had another value after some step.
        after: The parameters at its end.
    """

    before: dict[str, Tensor]
    trains: frozenset[str]
    grouped: list[str] = field(default_factory=list)
    moved: set[str] = field(default_factory=set)
    after: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class Notes:
    """The notes on one run of a method.

    Attributes:
        stages: Its stages.
        penalties: Whether the gradient of each penalty was finite; None where it has no gradient.
        losses: The same for each loss of the method's own; empty if it has none.
        masked: Whether it attached maps with masks.
        leaks: How many masked weights were not zero after an optimizer step, over all steps.
        disturbed: The parts of the process's state that it changed, each with the call that did.
    """

    stages: list[StageNotes] = field(default_factory=list)
    penalties: list[bool | None] = field(default_factory=list)
    losses: list[bool | None] = field(default_factory=list)
    masked: bool = False
    leaks: int = 0
    disturbed: dict[str, str] = field(default_factory=dict)


class Recorder(Method):
    """Passes every call on to a method, and takes notes.

    Args:
        method: The method; it gets ``RATES`` as its learning rate and weight decay.

    Attributes:
        notes: The notes.
    """

    def __init__(self, method: Method) -> None:
        method.config = method.config.model_copy(update=RATES)
        super().__init__(method.config)
        self.method = method
        self.notes = Notes()
        self._note(method, "parameter_groups", self._note_groups)
        self._note(method, "penalty", self._note_penalty)
        self._view: Any = None

    def refuses(self, family: Family, form: Form) -> str | None:
        """Pass on."""
        return self.method.refuses(family, form)

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Pass on."""
        with self._undisturbed("prepare"):
            self._view = prepared(self.method, backbone)
        return self._view  # type: ignore[no-any-return]

    def stages(self) -> Sequence[Stage]:
        """Pass on."""
        return self.method.stages()

    def begin_stage(self, model: nn.Module, stage: Stage, data: TrainingData) -> None:
        """Pass on; note the parameters, which of them train, and the end of the stage before."""
        self.end_stage()
        with self._undisturbed("begin_stage"):
            self.method.begin_stage(model, stage, data)
        trains = frozenset(name for name, p in model.named_parameters() if p.requires_grad)
        self.notes.stages.append(StageNotes(parameters_of(model), trains))

    def end_stage(self) -> None:
        """Note the parameters at the end of the current stage."""
        if self.notes.stages:
            self.notes.stages[-1].after = parameters_of(self._view)

    def before_step(self, model: nn.Module, progress: float) -> None:
        """Pass on."""
        with self._undisturbed("before_step"):
            self.method.before_step(model, progress)

    def after_step(self) -> None:
        """Note which parameters changed, and whether masks hold; call it after every step."""
        stage = self.notes.stages[-1]
        for name, parameter in self._view.named_parameters():
            if name not in stage.moved and not torch.equal(parameter, stage.before[name]):
                stage.moved.add(name)
        with torch.no_grad():
            for weight, change in attached(self._view, Masked):
                self.notes.masked = True
                self.notes.leaks += int(change(weight)[~change.mask].count_nonzero())

    def is_final(self, progress: float) -> bool:
        """Pass on."""
        return self.method.is_final(progress)

    def loss(
        self, model: nn.Module, batch: Mapping[str, Tensor], outputs: Any, task_loss: Tensor
    ) -> Tensor:
        """Pass on; note whether the gradient of a loss of the method's own is finite."""
        with self._undisturbed("loss"):
            loss = self.method.loss(model, batch, outputs, task_loss)
        if type(self.method).loss is not Method.loss:
            self.notes.losses.append(_gradient_is_finite(loss, model))
        return loss

    def after_backward(self, model: nn.Module, progress: float) -> None:
        """Pass on."""
        with self._undisturbed("after_backward"):
            self.method.after_backward(model, progress)

    def optimizer(self, model: nn.Module) -> Optimizer:
        """Pass on; note the parameters of the groups."""
        with self._undisturbed("optimizer"):
            optimizer = self.method.optimizer(model)
        if not self.notes.stages[-1].grouped and isinstance(optimizer, torch.optim.Optimizer):
            self._note_groups(model, optimizer.param_groups)
        return optimizer

    def _note(self, method: Method, call: str, note: Callable[[nn.Module, Any], None]) -> None:
        """Take notes of what a call returns that the method makes itself."""
        original = getattr(method, call)

        def noted(model: nn.Module) -> Any:
            with self._undisturbed(call):
                returned = original(model)
            note(model, returned)
            return returned

        setattr(method, call, noted)

    def _note_penalty(self, model: nn.Module, penalty: object) -> None:
        if penalty is not None:
            self.notes.penalties.append(_gradient_is_finite(penalty, model))

    def _note_groups(self, model: nn.Module, groups: object) -> None:
        if not isinstance(groups, list) or not all(isinstance(each, dict) for each in groups):
            return  # the harness refuses it
        for group in groups:
            group["params"] = list(group["params"])
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        self.notes.stages[-1].grouped = [
            names.get(id(parameter), "a parameter that is not in the model")
            for group in groups
            for parameter in group["params"]
        ]

    def deploy(self, model: nn.Module) -> nn.Module:
        """Pass on."""
        with self._undisturbed("deploy"):
            model = deployed_model(self.method, model)
        remarks(self.method)
        return model

    @contextmanager
    def _undisturbed(self, call: str) -> Iterator[None]:
        """Note what a call changes in the process."""
        before = {**observe(), "the seed of torch's generator": torch.initial_seed()}
        yield
        parts = changed(before)
        if torch.initial_seed() != before["the seed of torch's generator"]:
            parts.append("the seed of torch's generator")
        for part in parts:
            self.notes.disturbed.setdefault(part, call)


def _gradient_is_finite(penalty: object, model: nn.Module) -> bool | None:
    """Return whether a penalty has a finite gradient; None if it does not depend on what trains."""
    if not isinstance(penalty, torch.Tensor) or not penalty.requires_grad:
        return None
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(penalty, trained, retain_graph=True, allow_unused=True)
    found = [bool(gradient.isfinite().all()) for gradient in gradients if gradient is not None]
    return all(found) if found else None


def parameters_of(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of every parameter."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
