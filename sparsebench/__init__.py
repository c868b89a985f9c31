"""What the author of a plugin imports; heavy libraries stay out until they are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparsebench.errors import UnknownNameError, UserError
from sparsebench.method import Method, MethodConfig, Stage
from sparsebench.models import Anatomy, Backbone, Family, Form, Role
from sparsebench.version import __version__

if TYPE_CHECKING:
    from sparsebench.deployed import load

__all__ = [
    "Anatomy",
    "Backbone",
    "Family",
    "Form",
    "Method",
    "MethodConfig",
    "Role",
    "Stage",
    "UnknownNameError",
    "UserError",
    "__version__",
    "load",
]


def __getattr__(name: str) -> Any:
    if name == "load":
        from sparsebench.deployed import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
