"""Runtimes: ways to run the weights of a deployed model."""

from __future__ import annotations

from sparsebench.profiling.runtimes.base import KernelPair, Runtime
from sparsebench.registry import Registry

__all__ = ["RUNTIMES", "KernelPair", "Runtime"]


def _check(loaded: object) -> type[Runtime]:
    if not (isinstance(loaded, type) and issubclass(loaded, Runtime)):
        raise TypeError(f"not a subclass of sparsebench.profiling.runtimes.Runtime: {loaded!r}")
    return loaded


RUNTIMES: Registry[type[Runtime]] = Registry("sparsebench.runtimes", kind="runtime", check=_check)
"""The installed runtimes, by the name that users type."""
