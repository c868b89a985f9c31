"""A method under observation: it does all that the method does, and notes what is seen."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from sparsebench.conformance.process_state import changed, observe
from sparsebench.method import Method
from sparsebench.method_registry import prepared
from sparsebench.sparsity import Masked, attached

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor, nn

    from sparsebench.method import Stage
    from sparsebench.models import Backbone, Family, Form

RATES = {"learning_rate": 1e-2, "weight_decay": 1e-2}
"""What every method trains with: in a few steps, all that trains must move far."""


@dataclass
class StageNotes:
    """One stage as it was seen.

    Attributes:
        before: The parameters when its optimizer was about to be made.
        trains: The names of those that were to train.
        grouped: The name of each parameter that the optimizer was given, as often as it was.
        moved: The names of those that were elsewhere after some step.
        after: The parameters at its end.
    """

    before: dict[str, Tensor]
    trains: frozenset[str]
    grouped: list[str] = field(default_factory=list)
    moved: set[str] = field(default_factory=set)
    after: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class Notes:
    """What was seen of a method in one life.

    Attributes:
        stages: The stages that it went through.
        penalties: Whether the gradient of each penalty was finite; None where it has no gradient.
        masked: Whether it put maps with masks on weights.
        leaks: Weights that were not zero under their mask after an optimizer step, in all.
        disturbed: Parts of the process's state that it changed, each with the call that did.
    """

    stages: list[StageNotes] = field(default_factory=list)
    penalties: list[bool | None] = field(default_factory=list)
    masked: bool = False
    leaks: int = 0
    disturbed: dict[str, str] = field(default_factory=dict)


class Watched(Method):
    """Passes every call on to a method.

    Args:
        method: The method; its learning rate and weight decay are set to ``RATES``, as far as the
            harness asks for them.
    """

    def __init__(self, method: Method) -> None:
        super().__init__(method.config.model_copy(update=RATES))
        self.method = method
        self.notes = Notes()
        self._view: Any = None

    def refuses(self, family: Family, form: Form) -> str | None:
        """Passes on."""
        return self.method.refuses(family, form)

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Passes on."""
        with self._undisturbed("prepare"):
            self._view = prepared(self.method, backbone)
        return self._view  # type: ignore[no-any-return]

    def stages(self) -> Sequence[Stage]:
        """Passes on."""
        return self.method.stages()

    def begin_stage(self, model: nn.Module, stage: Stage) -> None:
        """Passes on; notes what trains, and how the stage before has ended."""
        self.end_stage()
        with self._undisturbed("begin_stage"):
            self.method.begin_stage(model, stage)
        trains = frozenset(name for name, p in model.named_parameters() if p.requires_grad)
        self.notes.stages.append(StageNotes(parameters_of(model), trains))

    def end_stage(self) -> None:
        """Notes how the stage that goes on ends."""
        if self.notes.stages:
            self.notes.stages[-1].after = parameters_of(self._view)

    def before_step(self, model: nn.Module, progress: float) -> None:
        """Passes on."""
        with self._undisturbed("before_step"):
            self.method.before_step(model, progress)

    def after_step(self) -> None:
        """Notes what has moved, and whether masks hold; to be called after every step."""
        stage = self.notes.stages[-1]
        for name, parameter in self._view.named_parameters():
            if name not in stage.moved and not torch.equal(parameter, stage.before[name]):
                stage.moved.add(name)
        with torch.no_grad():
            for weight, change in attached(self._view, Masked):
                self.notes.masked = True
                self.notes.leaks += int(change(weight)[~change.mask].count_nonzero())

    def is_final(self, progress: float) -> bool:
        """Passes on."""
        return self.method.is_final(progress)

    def penalty(self, model: nn.Module) -> Tensor | None:
        """Passes on."""
        with self._undisturbed("penalty"):
            penalty = self.method.penalty(model)
        if penalty is not None:
            self.notes.penalties.append(_gradient_is_finite(penalty, model))
        return penalty

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Passes on; notes what is in the groups."""
        groups = [
            {**group, "params": list(group["params"])}
            for group in self.method.parameter_groups(model)
        ]
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        self.notes.stages[-1].grouped = [
            names.get(id(parameter), "a parameter that is not in the model")
            for group in groups
            for parameter in group["params"]
        ]
        return groups

    def deploy(self, model: nn.Module) -> nn.Module:
        """Passes on."""
        with self._undisturbed("deploy"):
            return self.method.deploy(model)

    @contextmanager
    def _undisturbed(self, call: str) -> Iterator[None]:
        """Notes what a call changes in the process."""
        before = {**observe(), "the seed of torch's generator": torch.initial_seed()}
        yield
        parts = changed(before)
        if torch.initial_seed() != before["the seed of torch's generator"]:
            parts.append("the seed of torch's generator")
        for part in parts:
            self.notes.disturbed.setdefault(part, call)


def _gradient_is_finite(penalty: Tensor, model: nn.Module) -> bool | None:
    """Returns whether a penalty has a finite gradient; None if nothing that trains has one."""
    if not penalty.requires_grad:
        return None
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(penalty, trained, retain_graph=True, allow_unused=True)
    found = [bool(gradient.isfinite().all()) for gradient in gradients if gradient is not None]
    return all(found) if found else None


def parameters_of(model: nn.Module) -> dict[str, Tensor]:
    """Returns a copy of every parameter."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
