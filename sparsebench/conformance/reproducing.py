"""Checks of repeated runs: with the same seed, another seed, a restart, lower precision."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sparsebench.conformance.check import of_family
from sparsebench.conformance.outcomes import CheckFailed, some, state_difference
from sparsebench.conformance.run_trace import STEPS, RunOptions

if TYPE_CHECKING:
    from sparsebench.conformance.method_under_test import FamilyUnderTest

_OTHER = RunOptions(seed=2)


@of_family("every method")
def same_seed_same_result(tested: FamilyUnderTest) -> None:
    """Two runs with the same seed deploy the same model, to the bit."""
    if unequal := state_difference(tested.run().model, tested.run(RunOptions()).model):
        raise CheckFailed(unequal)


@of_family("every method")
def another_seed_another_result(tested: FamilyUnderTest) -> None:
    """Two runs with different seeds deploy different models."""
    if not state_difference(tested.run().model, tested.run(_OTHER).model):
        raise CheckFailed("seeds 1 and 2 give the same model, to the bit")


@of_family("every method")
def survives_a_restart(tested: FamilyUnderTest) -> None:
    """A run that is killed in the middle and resumed deploys the same model, to the bit."""
    resumed = tested.run(RunOptions(cut_at=STEPS // 2 + 1))
    if unequal := state_difference(tested.run().model, resumed.model):
        raise CheckFailed(f"{unequal}; does it keep state outside the model?")


@of_family("every method")
def trains_in_bf16(tested: FamilyUnderTest) -> None:
    """Under bf16 autocast the loss is finite, and so are the deployed values, in fp32."""
    run = tested.run(RunOptions(precision="bf16"))
    if not all(math.isfinite(point.loss) for point in run.record.loss):
        raise CheckFailed("the loss is not finite")
    values = dict(run.model.named_parameters())
    if odd := {name for name, p in values.items() if p.is_floating_point() and p.itemsize != 4}:  # noqa: PLR2004 - bytes of fp32
        raise CheckFailed(f"not in fp32 any more: {some(odd)}")
    if odd := {name for name, p in values.items() if not p.isfinite().all()}:
        raise CheckFailed(f"not finite: {some(odd)}")


@of_family("every method")
def leaves_the_process_alone(tested: FamilyUnderTest) -> None:
    """It leaves flags, seeds, hooks on all modules, warnings, environment and folder alone."""
    run, other = tested.run(), tested.run(_OTHER)
    for part, call in other.recorder.notes.disturbed.items():
        raise CheckFailed(f"{call} changes {part}")
    for when, mine, yours in zip(("prepare", "the run"), run.random, other.random, strict=True):
        if odd := [name for name in mine if mine[name] == yours[name]]:
            raise CheckFailed(f"after {when}, the generator of {odd[0]} is the same for every seed")
