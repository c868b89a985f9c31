"""Checks of what is zero: that it stays so, and that it is as much as was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparsebench.conformance.check import Failed, NotApplicable, of_family
from sparsebench.conformance.run_trace import Phase, Terms
from sparsebench.models import anatomy_of
from sparsebench.sparsity import pruned_count

if TYPE_CHECKING:
    from torch import nn

    from sparsebench.conformance.method_under_test import Trial

_CLAIM = "methods with a target_sparsity"


@of_family(f"{_CLAIM}, or with Masked weights")
def masked_weights_stay_zero(trial: Trial) -> None:
    """What is pruned is zero after every step, and in the file of any checkpoint that may ship."""
    life, target = trial.life(), trial.subject.method().target_sparsity
    if target is None and not life.watched.notes.masked:
        raise NotApplicable("target_sparsity is None, and no weight is Masked")
    if leaks := life.watched.notes.leaks:
        raise Failed(f"{leaks} weights are not zero under their mask after an optimizer step")
    if life.leaks:
        raise Failed(f"{life.leaks} weights that a mask has pruned are not zero in what ships")
    if target is not None:
        early = trial.life(Terms(earliest=True, last=Phase.LOAD), until=Phase.LOAD)
        counts = zeros(early.reloaded)
        if not _reaches(counts, target, exactly=False):
            step = early.record.selected_step
            raise Failed(
                f"the checkpoint of step {step} of {early.record.steps} may be selected, and in "
                f"its file {_told(counts)} are zero, not {target:g}"
            )


@of_family(_CLAIM)
def reaches_its_sparsity(trial: Trial) -> None:
    """Exactly the share that target_sparsity tells is zero, in each matrix or over all."""
    target = _target(trial)
    counts = zeros(trial.life().model)
    if not _reaches(counts, target, exactly=True):
        asked = pruned_count(sum(size for _, size in counts), target)
        raise Failed(f"{_told(counts)} are zero, not {target:g} ({asked:,})")


@of_family(_CLAIM, first_only=True)
def schedules_go_by_progress(trial: Trial) -> None:
    """A run of 5 steps and one of 50 end equally sparse."""
    _target(trial)
    few, many = (zeros(trial.life(Terms(steps=steps)).model) for steps in (5, 50))
    if _told(few) != _told(many):
        raise Failed(f"after 5 steps {_told(few)} are zero, after 50 {_told(many)}")


def zeros(model: nn.Module) -> list[tuple[int, int]]:
    """Returns zeros and weights of every matrix of the blocks of a plain model."""
    weights = [matrix.weight(model) for matrix in anatomy_of(model).matrices()]
    return [(int((weight == 0).sum()), weight.numel()) for weight in weights]


def _target(trial: Trial) -> float:
    target = trial.subject.method().target_sparsity
    if target is None:
        raise NotApplicable("target_sparsity is None")
    return target


def _reaches(counts: list[tuple[int, int]], target: float, *, exactly: bool) -> bool:
    """Whether so many weights are zero, in every matrix or over all, or at least so many."""
    total = sum(zero for zero, _ in counts), sum(size for _, size in counts)
    return any(
        all(
            zero == pruned_count(size, target)
            or (not exactly and zero > pruned_count(size, target))
            for zero, size in pool
        )
        for pool in (counts, [total])
    )


def _told(counts: list[tuple[int, int]]) -> str:
    zero, size = sum(zero for zero, _ in counts), sum(size for _, size in counts)
    return f"{zero / size:.4f} of the weights of the blocks ({zero:,} of {size:,})"
