"""Checks of what ships: plain, the same as what was trained, and the same from its file."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from sparsebench.conformance.backbones import tiny_backbone
from sparsebench.conformance.check import Failed, NotApplicable, of_family, of_method
from sparsebench.conformance.compare import difference, some, state_difference
from sparsebench.conformance.method_under_test import failure_text
from sparsebench.conformance.run_trace import PLAIN, Phase
from sparsebench.models.adapters import has_adapter

if TYPE_CHECKING:
    from torch import nn

    from sparsebench.conformance.method_under_test import MethodUnderTest, Trial

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_TENSOR_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


@of_method("every method")
def runs_on_every_family(subject: MethodUnderTest) -> str:
    """It prepares, trains and deploys on every family, or says which it refuses, and why."""
    failed = []
    for trial in subject.trials:
        life = trial.lived(PLAIN)
        if life.failure and life.failure[0] <= Phase.DEPLOY:
            failed.append(f"{trial.family}: {failure_text(life)}")
    if failed:
        raise Failed("; ".join(failed))
    refusals = _refusals(subject)
    if not subject.trials:
        raise NotApplicable(refusals)
    return refusals


def _refusals(subject: MethodUnderTest) -> str:
    """Returns what is refused, or raises ``Failed`` if no reason is given."""
    told: dict[str, list[str]] = {}
    for (family, form), reason in subject.refusals.items():
        if reason is None:
            continue
        if not isinstance(reason, str) or not reason.strip():
            raise Failed(f"refuses {family} ({form}) without a reason")
        told.setdefault(reason, []).append(f"{family} ({form})")
    return "; ".join(f"refuses {', '.join(what)}: {reason}" for reason, what in told.items())


@of_family("every method")
def ships_what_it_trained(trial: Trial) -> None:
    """The deployed model answers as the training view does in evaluation mode."""
    life = trial.life()
    if apart := difference(life.shipped, life.trained):
        raise Failed(apart)


@of_family("every method")
def deploy_leaves_nothing_behind(trial: Trial) -> str:
    """What ships is the backbone's own model, without hook, parametrization or wrapper.

    It may have what its record tells how to build again, and so a model has that was loaded. An
    adapter of the PEFT library may ship as it is where it cannot be merged.
    """
    life = trial.life()
    model = life.model
    if has_adapter(model):
        if _can_be_merged(model):
            raise Failed("it ships as a PEFT adapter, and could be merged")
        return "ships as a PEFT adapter"
    whole = tiny_backbone(trial.family.value, form=trial.form).model
    if type(model) is not type(whole):
        raise Failed(f"it ships a {type(model).__name__}, not a {type(whole).__name__}")
    plain = _kinds(whole), _kinds(life.reloaded) if life.failure is None else {}
    for path, module in model.named_modules():
        if type(module) not in {kinds.get(path) for kinds in plain}:
            raise Failed(f"{path} is a {type(module).__name__}")
        if found := [hooks for hooks in _HOOKS if getattr(module, hooks)]:
            raise Failed(f"{path or 'the model'} has hooks: {found[0]}")
        if "forward" in vars(module):
            raise Failed(f"{path or 'the model'} has a forward of its own")
    hooked = [n for n, p in model.named_parameters() if any(getattr(p, h) for h in _TENSOR_HOOKS)]
    if hooked:
        raise Failed(f"parameters have hooks: {some(hooked)}")
    if hasattr(model, "peft_config"):
        raise Failed("the model still has a peft_config")
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
def saves_and_loads(trial: Trial) -> None:
    """What ships is the same after it was saved and loaded, to the bit, and answers the same."""
    life = trial.life(until=Phase.LOAD)
    if type(life.reloaded) is not type(life.model):
        names = type(life.reloaded).__name__, type(life.model).__name__
        raise Failed(f"it comes back as a {names[0]}, not a {names[1]}")
    unequal = state_difference(life.reloaded, life.model)
    if unequal and not has_adapter(life.model):  # PEFT may drop what only training needs
        raise Failed(unequal)
    if apart := difference(life.loaded, life.shipped):
        raise Failed(apart)
