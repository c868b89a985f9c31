"""Checks of the deployed model: plain, as trained, the same from its file, and sparse enough."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from sparsebench.conformance.backbones import tiny_backbone
from sparsebench.conformance.check import of_family, of_method
from sparsebench.conformance.method_under_test import failure_text
from sparsebench.conformance.outcomes import (
    CheckFailed,
    NotApplicable,
    difference,
    some,
    state_difference,
)
from sparsebench.conformance.run_trace import PLAIN, Phase, RunOptions
from sparsebench.models import anatomy_of
from sparsebench.models.adapters import has_adapter
from sparsebench.sparsity import pruned_count

if TYPE_CHECKING:
    from torch import nn

    from sparsebench.conformance.method_under_test import FamilyUnderTest, MethodUnderTest

_CLAIM = "methods with a target_sparsity"
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_TENSOR_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


@of_method("every method")
def runs_on_every_family(method: MethodUnderTest) -> str:
    """It prepares, trains and deploys on every family, or says which it refuses, and why."""
    failed = []
    for tested in method.tested_families:
        run = tested.attempt(PLAIN)
        if run.failure and run.failure[0] <= Phase.DEPLOY:
            failed.append(f"{tested.family}: {failure_text(run)}")
    if failed:
        raise CheckFailed("; ".join(failed))
    refusals = _refusals(method)
    if not method.tested_families:
        raise NotApplicable(refusals)
    return refusals


def _refusals(method: MethodUnderTest) -> str:
    """Return the refusals, or raise ``CheckFailed`` if one has no reason."""
    refused: dict[str, list[str]] = {}
    for (family, form), reason in method.refusals.items():
        if reason is None:
            continue
        if not isinstance(reason, str) or not reason.strip():
            raise CheckFailed(f"refuses {family} ({form}) without a reason")
        refused.setdefault(reason, []).append(f"{family} ({form})")
    return "; ".join(f"refuses {', '.join(what)}: {reason}" for reason, what in refused.items())


@of_family("every method")
def ships_what_it_trained(tested: FamilyUnderTest) -> None:
    """The deployed model returns the logits of the training view in evaluation mode."""
    run = tested.run()
    if apart := difference(run.deployed, run.trained):
        raise CheckFailed(apart)


@of_family("every method")
def deploy_leaves_nothing_behind(tested: FamilyUnderTest) -> str:
    """The deployed model is the backbone's own, without hook, parametrization or wrapper.

    It may have lost parts: their record describes how to build it again, and a loaded model has the
    same modules. It may keep an adapter of the PEFT library that cannot be merged.
    """
    run = tested.run()
    model = run.model
    if has_adapter(model):
        if _can_be_merged(model):
            raise CheckFailed("the deployed model has a PEFT adapter that could be merged")
        return "keeps a PEFT adapter"
    whole = tiny_backbone(tested.family, form=tested.form).model
    if type(model) is not type(whole):
        raise CheckFailed(f"it deploys a {type(model).__name__}, not a {type(whole).__name__}")
    plain = _kinds(whole), _kinds(run.reloaded) if run.failure is None else {}
    for path, module in model.named_modules():
        if type(module) not in {kinds.get(path) for kinds in plain}:
            raise CheckFailed(f"{path} is a {type(module).__name__}")
        if found := [hooks for hooks in _HOOKS if getattr(module, hooks)]:
            raise CheckFailed(f"{path or 'the model'} has hooks: {found[0]}")
        if "forward" in vars(module):
            raise CheckFailed(f"{path or 'the model'} has a forward of its own")
    hooked = [n for n, p in model.named_parameters() if any(getattr(p, h) for h in _TENSOR_HOOKS)]
    if hooked:
        raise CheckFailed(f"parameters have hooks: {some(hooked)}")
    if hasattr(model, "peft_config"):
        raise CheckFailed("the model still has a peft_config")
    return ""


def _kinds(model: nn.Module) -> dict[str, type[nn.Module]]:
    return {path: type(module) for path, module in model.named_modules()}


def _can_be_merged(model: Any) -> bool:
    if model.active_peft_config.is_prompt_learning:
        return False
    try:
        copy.deepcopy(model).merge_and_unload()
    except NotImplementedError:
        return False
    return True


@of_family("every method")
def saves_and_loads(tested: FamilyUnderTest) -> None:
    """The deployed model, saved and loaded, has the same bits and returns the same logits."""
    run = tested.run(until=Phase.LOAD)
    if type(run.reloaded) is not type(run.model):
        names = type(run.reloaded).__name__, type(run.model).__name__
        raise CheckFailed(f"it is loaded as a {names[0]}, not a {names[1]}")
    unequal = state_difference(run.reloaded, run.model)
    if unequal and not has_adapter(run.model):  # PEFT may drop what only training needs
        raise CheckFailed(unequal)
    if apart := difference(run.loaded, run.deployed):
        raise CheckFailed(apart)


@of_family(_CLAIM)
def reaches_its_sparsity(tested: FamilyUnderTest) -> None:
    """Exactly the share of target_sparsity is zero, in each matrix or over all."""
    target = _target(tested)
    counts = zeros(tested.run().model)
    if not _reaches(counts, target, exactly=True):
        wanted = pruned_count(sum(size for _, size in counts), target)
        raise CheckFailed(f"{_share(counts)} are zero, not {target:g} ({wanted:,})")


@of_family(f"{_CLAIM}, or with Masked weights")
def masked_weights_stay_zero(tested: FamilyUnderTest) -> None:
    """Pruned weights are zero after every step, and in the file of any selectable checkpoint."""
    run, target = tested.run(), tested.under_test.method().target_sparsity
    if target is None and not run.recorder.notes.masked:
        raise NotApplicable("target_sparsity is None, and no weight is Masked")
    if leaks := run.recorder.notes.leaks:
        raise CheckFailed(f"{leaks} weights are not zero under their mask after an optimizer step")
    if run.leaks:
        raise CheckFailed(f"{run.leaks} masked weights are not zero in the deployed model")
    if target is not None:
        early = tested.run(RunOptions(earliest=True, last=Phase.LOAD), until=Phase.LOAD)
        counts = zeros(early.reloaded)
        if not _reaches(counts, target, exactly=False):
            step = early.record.selected_step
            raise CheckFailed(
                f"the checkpoint of step {step} of {early.record.steps} may be selected, and in "
                f"its file {_share(counts)} are zero, not {target:g}"
            )


@of_family(_CLAIM, first_only=True)
def schedules_go_by_progress(tested: FamilyUnderTest) -> None:
    """A run of 5 steps and one of 50 end equally sparse."""
    _target(tested)
    few, many = (zeros(tested.run(RunOptions(steps=steps)).model) for steps in (5, 50))
    if _share(few) != _share(many):
        raise CheckFailed(f"after 5 steps {_share(few)} are zero, after 50 {_share(many)}")


def zeros(model: nn.Module) -> list[tuple[int, int]]:
    """Return the zeros and the size of every matrix of the blocks of a plain model."""
    weights = [matrix.weight(model) for matrix in anatomy_of(model).matrices()]
    return [(int((weight == 0).sum()), weight.numel()) for weight in weights]


def _target(tested: FamilyUnderTest) -> float:
    target = tested.under_test.method().target_sparsity
    if target is None:
        raise NotApplicable("target_sparsity is None")
    return target


def _reaches(counts: list[tuple[int, int]], target: float, *, exactly: bool) -> bool:
    """Whether the target is met in every matrix or over all: exactly, or at least."""
    total = sum(zero for zero, _ in counts), sum(size for _, size in counts)
    return any(
        all(
            zero == pruned_count(size, target)
            or (not exactly and zero > pruned_count(size, target))
            for zero, size in pool
        )
        for pool in (counts, [total])
    )


def _share(counts: list[tuple[int, int]]) -> str:
    zero, size = sum(zero for zero, _ in counts), sum(size for _, size in counts)
    return f"{zero / size:.4f} of the weights of the blocks ({zero:,} of {size:,})"
