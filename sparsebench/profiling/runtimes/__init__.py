"""Runtimes: ways in which the weights of a deployed model can be run."""

from __future__ import annotations

from sparsebench.profiling.runtimes.base import Runtime, Trial
from sparsebench.registry import Registry

__all__ = ["RUNTIMES", "Runtime", "Trial"]


def _check(loaded: object) -> type[Runtime]:
    if not (isinstance(loaded, type) and issubclass(loaded, Runtime)):
        raise TypeError(f"not a subclass of sparsebench.profiling.runtimes.Runtime: {loaded!r}")
    return loaded


RUNTIMES: Registry[type[Runtime]] = Registry("sparsebench.runtimes", kind="runtime", check=_check)
"""The runtimes that are installed, by the name users type."""
