"""A module around another one, and taking such modules off a model."""

from __future__ import annotations

from typing import Any, TypeVar

from torch import nn

W = TypeVar("W", bound="ModuleWrapper")


class ModuleWrapper(nn.Module):
    """Replaces a module of a model and changes what it computes.

    An attribute that the wrapper lacks (``weight``, ``bias``, ``in_features`` ...) is that of the
    module inside, so that the anatomy of the model can still be read.

    Args:
        inner: The module inside.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)


def unwrap(model: nn.Module, kind: type[W]) -> list[W]:
    """Put the modules inside all wrappers of a kind back into a model, in place.

    Returns:
        The wrappers, in the order of the model's modules; each still has its ``inner`` module.
    """
    wrappers = [(path, m) for path, m in model.named_modules() if isinstance(m, kind)]
    for path, wrapper in wrappers:
        model.set_submodule(path, wrapper.inner)
    return [wrapper for _, wrapper in wrappers]
