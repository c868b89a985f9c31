"""Checks of a method's settings and stages, and of the parameters that it trains."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import yaml

from sparsebench.conformance.backbones import tiny_backbone
from sparsebench.conformance.check import of_family, of_method
from sparsebench.conformance.outcomes import (
    CheckFailed,
    NotApplicable,
    difference,
    some,
    state_difference,
)
from sparsebench.conformance.run_trace import TEACHER_SEED
from sparsebench.method_registry import setting_faults
from sparsebench.suite import yamlfile

if TYPE_CHECKING:
    from sparsebench.conformance.method_under_test import FamilyUnderTest, MethodUnderTest
    from sparsebench.conformance.recorder import StageNotes

_UNKNOWN = "no_such_setting"


class _NoValue:
    """A value that suits no setting."""


@of_method("every method")
def settings_have_defaults(method: MethodUnderTest) -> None:
    """Every setting has a default and a description."""
    fields = type(method.method()).Config.model_fields
    if missing := [name for name, field in fields.items() if field.is_required()]:
        raise CheckFailed(f"without a default: {some(missing)}")
    if missing := [name for name, field in fields.items() if not field.description]:
        raise CheckFailed(f"without a description: {some(missing)}")


@of_method("every method")
def settings_round_trip(method: MethodUnderTest) -> None:
    """Settings written as YAML and read again are equal."""
    config = method.method().config
    text = yaml.safe_dump(config.model_dump(mode="json"))
    again = type(config).model_validate(yamlfile.parse(text, name="settings").data)
    if again != config:
        names = [name for name, value in again if value != getattr(config, name)]
        raise CheckFailed(f"not equal: {some(names)}")


@of_method("every method")
def bad_settings_are_refused(method: MethodUnderTest) -> None:
    """A setting that is unknown, or has a bad value, is refused by its name."""
    if not _is_refused(method, _UNKNOWN):
        raise CheckFailed(f"accepts an unknown setting, {_UNKNOWN!r}, without an error")
    fields = type(method.method()).Config.model_fields
    if loose := [name for name in fields if not _is_refused(method, name)]:
        raise CheckFailed(f"accepts any value: {some(loose)}")


def _is_refused(method: MethodUnderTest, name: str) -> bool:
    faults = setting_faults(type(method.method()), {name: _NoValue()})
    return any(path[:1] == (name,) or name in message for path, message in faults)


@of_method("every method")
def stages_share_the_budget(method: MethodUnderTest) -> None:
    """The shares of its stages are positive and sum to 1, and their names differ."""
    stages = list(method.method().stages())
    shares = [stage.share for stage in stages]
    if not stages or min(shares) <= 0 or not math.isclose(sum(shares), 1):
        raise CheckFailed(f"the shares are {shares}")
    if len({stage.name for stage in stages}) < len(stages):
        raise CheckFailed("two stages have the same name")


@of_family("methods whose starts_pretrained is True, the default")
def starts_pretrained(tested: FamilyUnderTest) -> None:
    """Before training, the training view returns the logits of the pretrained model."""
    run = tested.run()
    if not run.recorder.method.starts_pretrained:
        raise NotApplicable("starts_pretrained is False")
    if apart := difference(run.prepared, run.pretrained):
        raise CheckFailed(f"{apart}; or let starts_pretrained be False")


@of_family("every method")
def trains_what_it_claims(tested: FamilyUnderTest) -> None:
    """Every parameter with requires_grad is in one optimizer group, and changes.

    A parameter may keep its value if the same one of another block changes: a ReLU may be dead.
    """
    for stage in tested.run().recorder.notes.stages:
        if not stage.trains:
            raise CheckFailed("nothing has requires_grad")
        grouped = Counter(stage.grouped)
        if missing := stage.trains - grouped.keys():
            raise CheckFailed(f"not in parameter_groups: {some(missing)}")
        if odd := grouped.keys() - stage.trains:
            raise CheckFailed(f"in parameter_groups without requires_grad: {some(odd)}")
        if twice := {name for name, count in grouped.items() if count > 1}:
            raise CheckFailed(f"in parameter_groups more than once: {some(twice)}")
        moved = {_kind(name) for name in stage.moved}
        if still := {name for name in stage.trains if _kind(name) not in moved}:
            raise CheckFailed(f"has requires_grad and never changes: {some(still)}")


def _kind(name: str) -> str:
    """Return the name of a parameter without the number of its block."""
    return ".".join(part for part in name.split(".") if not part.isdecimal())


@of_family("methods that freeze something")
def frozen_values_stay(tested: FamilyUnderTest) -> None:
    """Every other parameter is bit-identical at the end of its stage, or pruned to zero."""
    stages = tested.run().recorder.notes.stages
    if all(stage.before.keys() <= stage.trains for stage in stages):
        raise NotApplicable("freezes nothing")
    for stage in stages:
        frozen = (stage.before.keys() & stage.after.keys()) - stage.trains
        if moved := {name for name in frozen if _has_moved(stage, name)}:
            raise CheckFailed(f"frozen, but it changes: {some(moved)}")


def _has_moved(stage: StageNotes, name: str) -> bool:
    before, after = stage.before[name], stage.after[name]
    return before.shape == after.shape and bool(((before != after) & (after != 0)).any())


@of_family("methods with a penalty, or a loss of their own")
def penalty_is_differentiable(tested: FamilyUnderTest) -> None:
    """The penalty, and a loss of its own, has a finite gradient for what trains."""
    notes = tested.run().recorder.notes
    if not notes.penalties and not notes.losses:
        raise NotApplicable("has no penalty, and no loss of its own")
    for what, gradients in {"penalty": notes.penalties, "loss": notes.losses}.items():
        if None in gradients:
            raise CheckFailed(f"the {what} has no gradient: it does not depend on what trains")
        if not all(gradients):
            raise CheckFailed(f"a gradient of the {what} is not finite")


@of_family("every method")
def evaluation_changes_nothing(tested: FamilyUnderTest) -> None:
    """A forward pass in evaluation mode leaves every parameter and buffer as it was."""
    if changed := tested.run().changed_by_evaluation:
        raise CheckFailed(f"evaluation changes {some(changed)}")


@of_family("methods with a teacher")
def teacher_stays_unchanged(tested: FamilyUnderTest) -> None:
    """After training the teacher has the same values, frozen and in evaluation mode."""
    teacher = tested.run().teacher
    if teacher is None:
        raise NotApplicable("has no teacher")
    untouched = tiny_backbone(tested.family, form=tested.form, seed=TEACHER_SEED).model
    if changed := state_difference(teacher.to("cpu"), untouched):
        raise CheckFailed(f"training changes the teacher: {changed}")
    if any(module.training for module in teacher.modules()):
        raise CheckFailed("training puts the teacher into training mode")
    if any(parameter.requires_grad for parameter in teacher.parameters()):
        raise CheckFailed("training sets requires_grad in the teacher")
