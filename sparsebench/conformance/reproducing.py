"""Checks of runs made again: the same, another, cut off, at lower precision, side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sparsebench.conformance.check import Failed, of_family
from sparsebench.conformance.compare import some, state_difference
from sparsebench.conformance.run_trace import STEPS, Terms

if TYPE_CHECKING:
    from sparsebench.conformance.method_under_test import Trial

_OTHER = Terms(seed=2)


@of_family("every method")
def same_seed_same_result(trial: Trial) -> None:
    """Two runs with one seed ship the same model, to the bit."""
    if unequal := state_difference(trial.life().model, trial.life(Terms()).model):
        raise Failed(unequal)


@of_family("every method")
def another_seed_another_result(trial: Trial) -> None:
    """Two runs with different seeds ship different models."""
    if not state_difference(trial.life().model, trial.life(_OTHER).model):
        raise Failed("seeds 1 and 2 give the same model, to the bit")


@of_family("every method")
def survives_a_restart(trial: Trial) -> None:
    """A run that is killed in the middle and resumed ships the same model, to the bit."""
    resumed = trial.life(Terms(cut_at=STEPS // 2 + 1))
    if unequal := state_difference(trial.life().model, resumed.model):
        raise Failed(f"{unequal}; does anything that it learns live outside the model?")


@of_family("every method")
def trains_in_bf16(trial: Trial) -> None:
    """Under bf16 autocast it trains to a finite loss, and ships fp32 values that are finite."""
    life = trial.life(Terms(precision="bf16"))
    if not all(math.isfinite(point.loss) for point in life.record.loss):
        raise Failed("the loss is not finite")
    values = dict(life.model.named_parameters())
    if odd := {name for name, p in values.items() if p.is_floating_point() and p.itemsize != 4}:  # noqa: PLR2004 - bytes of fp32
        raise Failed(f"not in fp32 any more: {some(odd)}")
    if odd := {name for name, p in values.items() if not p.isfinite().all()}:
        raise Failed(f"not finite: {some(odd)}")


@of_family("every method")
def leaves_the_process_alone(trial: Trial) -> None:
    """Flags, random seeds, hooks on all modules, warnings, environment and folder stay."""
    life, other = trial.life(), trial.life(_OTHER)
    for part, call in other.watched.notes.disturbed.items():
        raise Failed(f"{call} changes {part}")
    for when, mine, yours in zip(("prepare", "the run"), life.random, other.random, strict=True):
        if odd := [name for name in mine if mine[name] == yours[name]]:
            raise Failed(f"after {when}, the generator of {odd[0]} is the same whatever the seed")
