"""The tuners of the PEFT library: which of them apply, and the settings that they require.

The name of a tuner is its PEFT type in lower case, such as ``ia3``. All else is read from the
installed library.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from sparsebench import Backbone, Family, Form, Role, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Mapping

OURS = frozenset(
    {
        "auto_mapping",
        "base_model_name_or_path",
        "inference_mode",
        "modules_to_save",
        "peft_type",
        "peft_version",
        "revision",
        "runtime_config",
        "task_type",
    }
)
"""Fields of PEFT's configurations that a suite must not set."""

_NEVER = {
    "adaption_prompt": "it is for LLaMA's attention only, and PEFT can neither merge nor remove it",
    "cpt": "its prompt consists of training examples, which a method does not see",
    "multitask_prompt_tuning": "it learns one prompt for several tasks, and a run has one task",
    "poly": "it routes between several tasks, and a run has one task",
    "shadow": "it trains a second network with a loss of its own",
    "xlora": "it mixes adapters from earlier training",
}
_NEEDS = {"trainable_tokens": "token_indices"}
"""Tuners that train nothing without a setting."""

_LINEAR_ONLY = frozenset(
    {
        "adamss",
        "beft",
        "boft",
        "c3a",
        "delora",
        "glora",
        "hra",
        "lily",
        "loha",
        "lokr",
        "miss",
        "oft",
        "osf",
        "peanut",
        "psoft",
        "road",
        "shira",
        "supertuning",
    }
)
"""Tuners that cannot adapt GPT-2's transposed ``Conv1D``."""

_PROMPTS = frozenset({"prompt_tuning", "p_tuning"})
"""Tuners that prepend virtual tokens to the input."""

_NORMS = {Family.BERT: "LayerNorm", Family.ROBERTA: "LayerNorm"}
"""The targets of ``ln_tuning`` where PEFT has no default."""

_SCHEDULES = {"adalora": {"total_step": 10_000, "tinit": 1_000, "tfinal": 5_000}}
"""AdaLoRA's phases: ranks shrink between 10 % and 50 % of the run, and are fixed afterwards."""

_TASK_TYPES = {
    Form.CLASSIFICATION: "SEQ_CLS",
    Form.SPAN: "QUESTION_ANS",
    Form.TEXT_TO_TEXT: "SEQ_2_SEQ_LM",
    Form.LANGUAGE_MODEL: "CAUSAL_LM",
}


def tuners() -> dict[str, type[Any]]:
    """Return the configuration class of every tuner of the installed PEFT, by name."""
    from peft import PEFT_TYPE_TO_CONFIG_MAPPING

    return {kind.value.lower(): cls for kind, cls in PEFT_TYPE_TO_CONFIG_MAPPING.items()}


def check_settings(tuner: str, settings: Mapping[str, Any]) -> None:
    """Check the names of a tuner and of its settings.

    Raises:
        UnknownNameError: PEFT has no such tuner, or the tuner has no such setting.
    """
    known = tuners()
    if tuner not in known:
        raise UnknownNameError("PEFT tuner", tuner, known=known)
    fields = {field.name for field in dataclasses.fields(known[tuner])} - OURS
    for name in settings:
        if name not in fields:
            raise UnknownNameError(f"setting of the PEFT tuner {tuner!r}", name, known=fields)


def refusal(tuner: str, settings: Mapping[str, Any], *, family: Family, form: Form) -> str | None:
    """Return why a tuner cannot work on a kind of backbone, or None if it can."""
    gpt2, needed = family == Family.GPT2, _NEEDS.get(tuner, "")
    reasons = {
        f"{tuner} does not apply: {_NEVER.get(tuner)}": tuner in _NEVER,
        f"{tuner} trains nothing without settings.{needed}": (
            tuner in _NEEDS and not settings.get(needed)
        ),
        "adamss counts raw steps with use_asa; schedules here are shares of the run": (
            tuner == "adamss" and bool(settings.get("use_asa"))
        ),
        "beft trains biases, and T5 has none; ln_tuning trains its normalisation": tuner == "beft"
        and family == Family.T5,
        f"{tuner} cannot adapt GPT-2's transposed matrices (Conv1D); lora, vera and ia3 can": (
            gpt2 and tuner in _LINEAR_ONLY
        ),
        f"with {tuner}, the predictions of GPT-2 depend on padding; use prefix_tuning": (
            gpt2 and tuner in _PROMPTS
        ),
        f"{tuner} adds virtual tokens, which shift the positions of spans; use prefix_tuning": (
            form is Form.SPAN and tuner in _PROMPTS
        ),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def is_prompt(tuner: str) -> bool:
    """Whether a tuner learns a prompt or a cache for the whole model, and changes no matrix."""
    from peft import PromptLearningConfig

    return issubclass(tuners()[tuner], PromptLearningConfig)


def automatic(tuner: str, backbone: Backbone) -> dict[str, Any]:
    """Return the settings that follow from the backbone; the user's settings override them."""
    if is_prompt(tuner):
        return {"task_type": _TASK_TYPES[backbone.form], "num_virtual_tokens": 20}
    family = backbone.family
    known: dict[str, Any] = {
        "fan_in_fan_out": family == Family.GPT2,  # the layout of ``Conv1D``
        "progressbar": False,
        **_SCHEDULES.get(tuner, {}),
    }
    if _lacks_targets(tuner, family):
        known["target_modules"] = targets(tuner, backbone)
    fields = {field.name for field in dataclasses.fields(tuners()[tuner])}
    return {name: value for name, value in known.items() if name in fields}


def targets(tuner: str, backbone: Backbone) -> list[str]:
    """Return the targets of a tuner for a family without a default in PEFT."""
    if tuner == "ln_tuning":
        return [_NORMS[backbone.family]]
    return paths(backbone, Role.QUERY, Role.VALUE)


def paths(backbone: Backbone, *roles: Role) -> list[str]:
    """Return the paths of the modules that hold the matrices of some roles, each once."""
    return list(dict.fromkeys(matrix.path for matrix in backbone.anatomy.matrices(*roles)))


def _lacks_targets(tuner: str, family: Family) -> bool:
    from peft import PEFT_TYPE_TO_TUNER_MAPPING

    kinds = {kind.value.lower(): cls for kind, cls in PEFT_TYPE_TO_TUNER_MAPPING.items()}
    defaults = getattr(kinds[tuner], "target_module_mapping", None)
    return defaults is not None and family not in defaults
