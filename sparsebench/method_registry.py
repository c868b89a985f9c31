"""The methods that are installed, and what a suite may set of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sparsebench.errors import UserError
from sparsebench.errors.problems import KeyPath, explain, located
from sparsebench.method import Method, MethodConfig
from sparsebench.registry import Registry
from sparsebench.schema.training import Training

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from sparsebench.models import Backbone

__all__ = ["METHODS", "configure", "prepared"]

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
"""What people call the terms of training elsewhere."""


def _check(loaded: object) -> type[Method]:
    if not (isinstance(loaded, type) and issubclass(loaded, Method)):
        raise TypeError(f"not a subclass of sparsebench.Method: {loaded!r}")
    if missing := sorted(loaded.__abstractmethods__):
        raise TypeError(f"{loaded.__name__} does not define {', '.join(missing)}")
    if not (isinstance(loaded.Config, type) and issubclass(loaded.Config, MethodConfig)):
        raise TypeError(f"its Config is not a subclass of sparsebench.MethodConfig: {loaded!r}")
    if "method" in loaded.Config.model_fields:
        raise TypeError("its Config has a field 'method', a key that in a suite names the method")
    needed = [name for name, field in loaded.Config.model_fields.items() if field.is_required()]
    if needed:
        raise TypeError(f"its Config has no default for {', '.join(needed)}: every setting has one")
    return loaded


METHODS: Registry[type[Method]] = Registry("sparsebench.methods", kind="method", check=_check)
"""The methods that are installed, by the name users type."""


def configure(name: str, settings: Mapping[str, Any], *, where: str | None = None) -> Method:
    """Makes a method with settings; what is not set has its default.

    Args:
        name: The registered name.
        settings: Settings as the user gave them.
        where: Where they were given, for the message.

    Raises:
        UnknownNameError: No such method.
        BrokenPluginError: The method cannot be used.
        UserError: A setting is unknown or its value is bad; every such setting has a line.
    """
    method = METHODS.get(name, where=where)
    if faults := setting_faults(method, settings):
        start = f"{where + ': ' if where else ''}method {name!r}: "
        raise UserError("\n".join(start + located(*fault) for fault in faults))
    return method(method.Config.model_validate(settings))


def prepared(method: Method, backbone: Backbone) -> nn.Module:
    """Returns the training view that a method makes of a backbone.

    Raises:
        UserError: It makes something else, or forgets to return it.
    """
    from torch import nn

    view: object = method.prepare(backbone)
    if not isinstance(view, nn.Module):
        raise UserError(
            f"{type(method).__name__}.prepare returned {type(view).__name__}: return the model"
        )
    return view


def setting_faults(method: type[Method], settings: Mapping[str, Any]) -> list[tuple[KeyPath, str]]:
    """Returns the path of every bad setting of a method, with what is wrong with it."""
    try:
        method.Config.model_validate(settings)
    except ValidationError as error:
        faults = explain(error, method.Config, settings)
        return [(path, _term_of_training(method, path) or message) for path, message in faults]
    return []


def _term_of_training(method: type[Method], path: KeyPath) -> str | None:
    """Says so if an unknown key is for the suite to set, so that all methods train alike."""
    if len(path) != 1 or path[0] in method.Config.model_fields:
        return None
    key = str(path[0])
    term = key if key in Training.model_fields else _OTHER_WORDS.get(key)
    if term is None:
        return None
    return f"not for a method to set: all train on the suite's terms, see training.{term}"
