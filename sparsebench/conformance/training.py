"""Checks of what trains, and of what must not."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sparsebench.conformance.check import Failed, NotApplicable, of_family
from sparsebench.conformance.compare import difference, some

if TYPE_CHECKING:
    from sparsebench.conformance.method_under_test import Trial
    from sparsebench.conformance.recorder import StageNotes


@of_family("every method")
def trains_what_it_claims(trial: Trial) -> None:
    """All that has requires_grad is in one optimizer group, and moves.

    A parameter may stay where it is if the same one of another block moves: a ReLU may be dead.
    """
    for stage in trial.life().watched.notes.stages:
        if not stage.trains:
            raise Failed("nothing has requires_grad")
        grouped = Counter(stage.grouped)
        if missing := stage.trains - grouped.keys():
            raise Failed(f"not in parameter_groups: {some(missing)}")
        if odd := grouped.keys() - stage.trains:
            raise Failed(f"in parameter_groups without requires_grad: {some(odd)}")
        if twice := {name for name, count in grouped.items() if count > 1}:
            raise Failed(f"in parameter_groups more than once: {some(twice)}")
        moved = {_kind(name) for name in stage.moved}
        if still := {name for name in stage.trains if _kind(name) not in moved}:
            raise Failed(f"has requires_grad and never moves: {some(still)}")


def _kind(name: str) -> str:
    """Returns the name of a parameter without the number of its block."""
    return ".".join(part for part in name.split(".") if not part.isdecimal())


@of_family("methods that freeze something")
def frozen_values_stay(trial: Trial) -> None:
    """What has no requires_grad is bit-identical at the end of its stage, or pruned to zero."""
    stages = trial.life().watched.notes.stages
    if all(stage.before.keys() <= stage.trains for stage in stages):
        raise NotApplicable("freezes nothing")
    for stage in stages:
        frozen = (stage.before.keys() & stage.after.keys()) - stage.trains
        if moved := {name for name in frozen if _has_moved(stage, name)}:
            raise Failed(f"frozen, and yet it changes: {some(moved)}")


def _has_moved(stage: StageNotes, name: str) -> bool:
    before, after = stage.before[name], stage.after[name]
    return before.shape == after.shape and bool(((before != after) & (after != 0)).any())


@of_family("methods whose starts_pretrained is True, the default")
def starts_pretrained(trial: Trial) -> None:
    """Before training, the training view answers as the pretrained model does."""
    life = trial.life()
    if not life.watched.method.starts_pretrained:
        raise NotApplicable("starts_pretrained is False")
    if apart := difference(life.prepared, life.pretrained):
        raise Failed(f"{apart}; or let starts_pretrained be False")


@of_family("methods with a penalty")
def penalty_is_differentiable(trial: Trial) -> None:
    """The penalty has a gradient in what trains, and the gradient is finite."""
    penalties = trial.life().watched.notes.penalties
    if not penalties:
        raise NotApplicable("has no penalty")
    if None in penalties:
        raise Failed("the penalty has no gradient: nothing that trains is in it")
    if not all(penalties):
        raise Failed("a gradient of the penalty is not finite")
