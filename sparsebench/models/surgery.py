"""Tied parameters, given a copy of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def untie(model: nn.Module, name: str) -> None:
    """Gives a parameter that is tied to another a copy of its own, and keeps it untied.

    Args:
        model: A transformers model.
        name: The parameter that gets the copy, such as ``"lm_head.weight"``.
    """
    from torch import nn

    path, _, leaf = name.rpartition(".")
    owner, weight = model.get_submodule(path), model.get_parameter(name)
    setattr(owner, leaf, nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad))
    keep_untied(model, name)


def keep_untied(model: nn.Module, name: str) -> None:
    """Tells transformers, which ties whenever it loads or prepares a model, to leave one alone."""
    for record in ("_tied_weights_keys", "all_tied_weights_keys"):
        kept = {key: source for key, source in getattr(model, record).items() if key != name}
        setattr(model, record, kept)
