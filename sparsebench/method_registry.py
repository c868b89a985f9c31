"""The installed methods: look one up by name, configure it, prepare and deploy a model with it.

    method = configure("lora", {"r": 8, "learning_rate": 1e-4})
    view = prepared(method, backbone)
    model = deployed_model(method, view)

``METHODS`` holds the classes; ``configure`` validates settings as a suite gives them.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sparsebench.errors import UserError, one_line
from sparsebench.errors.problems import KeyPath, explain, located
from sparsebench.method import Method, MethodConfig
from sparsebench.registry import Registry
from sparsebench.schema.training import Training

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn

    from sparsebench.models import Backbone, Family, Form

__all__ = ["METHODS", "configure", "deployed_model", "prepared", "refusal", "remarks"]

_OTHER_WORDS = {
    "batch": "batch_size",
    "epochs": "budget",
    "gradient_accumulation_steps": "micro_batch_size",
    "gradient_clipping": "clip",
    "lr_scheduler_type": "schedule",
    "max_grad_norm": "clip",
    "max_steps": "budget",
    "num_epochs": "budget",
    "num_train_epochs": "budget",
    "per_device_train_batch_size": "batch_size",
    "steps": "budget",
    "train_batch_size": "batch_size",
    "train_epochs": "budget",
    "train_steps": "budget",
    "warmup_ratio": "warmup",
    "warmup_steps": "warmup",
}
"""Names of the terms of training in other libraries -> their names here."""


def _check(loaded: object) -> type[Method]:
    if not (isinstance(loaded, type) and issubclass(loaded, Method)):
        raise TypeError(f"not a subclass of sparsebench.Method: {loaded!r}")
    if missing := sorted(loaded.__abstractmethods__):
        raise TypeError(f"{loaded.__name__} does not define {', '.join(missing)}")
    if not (isinstance(loaded.Config, type) and issubclass(loaded.Config, MethodConfig)):
        raise TypeError(f"its Config is not a subclass of sparsebench.MethodConfig: {loaded!r}")
    if not isinstance(loaded.version, str):
        raise TypeError(f'its version is not a text: write version = "{loaded.version}"')
    if "method" in loaded.Config.model_fields:
        raise TypeError("its Config has a field 'method', a key that names the method in a suite")
    if not _takes(loaded.begin_stage, 4):
        raise TypeError(
            "its begin_stage has no parameter for training data: write "
            "def begin_stage(self, model, stage, data)"
        )
    needed = [name for name, field in loaded.Config.model_fields.items() if field.is_required()]
    if needed:
        raise TypeError(f"its Config has no default for {', '.join(needed)}: every setting has one")
    return loaded


def _takes(function: Callable[..., object], count: int) -> bool:
    """Return whether a function can be called with so many arguments."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    return True


METHODS: Registry[type[Method]] = Registry("sparsebench.methods", kind="method", check=_check)
"""The installed methods by their names."""


def configure(name: str, settings: Mapping[str, Any], *, where: str | None = None) -> Method:
    """Create a method; settings that are not given have their defaults.

    Args:
        name: The registered name.
        settings: The settings, not validated yet.
        where: The place of the settings for the message, such as ``"glue.yaml:12"``.

    Raises:
        UnknownNameError: There is no such method.
        BrokenPluginError: The method cannot be used.
        UserError: A setting is unknown or invalid; the message has one line for each. Or the
            method raises an error.
    """
    method = METHODS.get(name, where=where)
    if faults := setting_faults(method, settings):
        start = f"{where + ': ' if where else ''}method {name!r}: "
        raise UserError("\n".join(start + located(*fault) for fault in faults))
    try:
        return method(method.Config.model_validate(settings))
    except Exception as error:
        start = f"{where + ': ' if where else ''}method {name!r} cannot be created: "
        raise UserError(start + one_line(error)) from error


def refusal(method: Method, family: Family, form: Form) -> str | None:
    """Return why a method cannot work on a family in a form, or None if it can.

    Raises:
        UserError: ``refuses`` raised an error, or returned something else than a text or None.
    """
    call = f"{type(method).__name__}.refuses"
    try:
        reason: object = method.refuses(family, form)
    except Exception as error:
        raise UserError(f"{call} failed: {one_line(error)}") from error
    if reason is None or (isinstance(reason, str) and reason.strip()):
        return reason
    raise UserError(f"{call} returned {reason!r:.80}: return the reason as a text, or None")


def prepared(method: Method, backbone: Backbone) -> nn.Module:
    """Return the training view of a backbone.

    Raises:
        UserError: ``prepare`` returned something else than a module.
    """
    return _model(method.prepare(backbone), f"{type(method).__name__}.prepare")


def deployed_model(method: Method, view: nn.Module) -> nn.Module:
    """Return the deployed model of a training view.

    Raises:
        UserError: ``deploy`` returned something else than a module.
    """
    return _model(method.deploy(view), f"{type(method).__name__}.deploy")


def remarks(method: Method) -> tuple[str, ...]:
    """Return a method's remarks on its deployed model.

    Raises:
        UserError: ``remarks`` returned something else than texts.
    """
    returned: object = method.remarks()
    if isinstance(returned, str) or not isinstance(returned, Sequence):
        returned = (None,)
    if not all(isinstance(remark, str) for remark in returned):
        raise UserError(f"{type(method).__name__}.remarks did not return a list of texts")
    return tuple(returned)


def _model(returned: object, call: str) -> nn.Module:
    from torch import nn

    if not isinstance(returned, nn.Module):
        raise UserError(f"{call} returned {type(returned).__name__}: return the model")
    return returned


def setting_faults(method: type[Method], settings: Mapping[str, Any]) -> list[tuple[KeyPath, str]]:
    """Return the path of every invalid setting of a method, with a message."""
    try:
        method.Config.model_validate(settings)
    except ValidationError as error:
        faults = explain(error, method.Config, settings)
        return [(path, _term_of_training(method, path) or message) for path, message in faults]
    return []


def _term_of_training(method: type[Method], path: KeyPath) -> str | None:
    """Return a message if an unknown key is a term of training, which only the suite can set."""
    if len(path) != 1 or path[0] in method.Config.model_fields:
        return None
    key = str(path[0])
    term = key if key in Training.model_fields else _OTHER_WORDS.get(key)
    if term is None:
        return None
    return f"not a setting of a method: the suite sets training.{term} for all methods"
