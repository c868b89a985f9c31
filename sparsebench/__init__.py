"""A benchmark suite for sparse and parameter-efficient fine-tuning.

Run a suite, load its results, measure costs, load a deployed model:

    import sparsebench

    results = sparsebench.run("quick", methods=["full", "lora"])
    print(sparsebench.load_results("runs").leaderboard())
    sparsebench.profile(models=["random:bert-base"], methods=["magnitude"])
    sparsebench.load("runs/.../deployed")

``Method`` and what stands beside it is what the author of a plugin imports.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sparsebench.version import __version__

if TYPE_CHECKING:
    from sparsebench.api import Results, load_results, profile, run
    from sparsebench.deployed import load
    from sparsebench.errors import UnknownNameError, UserError
    from sparsebench.method import Method, MethodConfig, Stage, TrainingData
    from sparsebench.models import Anatomy, Backbone, Family, Form, Role

__all__ = [
    "Anatomy",
    "Backbone",
    "Family",
    "Form",
    "Method",
    "MethodConfig",
    "Results",
    "Role",
    "Stage",
    "TrainingData",
    "UnknownNameError",
    "UserError",
    "__version__",
    "load",
    "load_results",
    "profile",
    "run",
]

_MODULES = {
    "sparsebench.api": ("Results", "load_results", "profile", "run"),
    "sparsebench.deployed": ("load",),
    "sparsebench.errors": ("UnknownNameError", "UserError"),
    "sparsebench.method": ("Method", "MethodConfig", "Stage", "TrainingData"),
    "sparsebench.models": ("Anatomy", "Backbone", "Family", "Form", "Role"),
}
"""Module -> the public names that it defines; it is imported when one is first used."""


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
