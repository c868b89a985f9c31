"""Load backbones with task heads, and read the anatomy of every family."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparsebench.models.adapters import attach_adapter
from sparsebench.models.anatomy import (
    BUILT_IN_FAMILIES,
    Anatomy,
    Attention,
    Block,
    Family,
    FeedForward,
    Matrix,
    Role,
)
from sparsebench.models.architectures import ARCHITECTURES
from sparsebench.models.backbone import Backbone, untie
from sparsebench.models.families import (
    FAMILIES,
    GENERATING,
    IGNORED,
    FamilyDefinition,
    Form,
    anatomy_of,
)
from sparsebench.models.loading import empty_backbone, load_backbone
from sparsebench.models.sources import ModelSource, model_source

if TYPE_CHECKING:
    from sparsebench.models.wrappers import (
        Adapted,
        ModuleWrapper,
        bottleneck_widths,
        insert_bottlenecks,
        unwrap,
    )

__all__ = [
    "ARCHITECTURES",
    "BUILT_IN_FAMILIES",
    "FAMILIES",
    "GENERATING",
    "IGNORED",
    "Adapted",
    "Anatomy",
    "Attention",
    "Backbone",
    "Block",
    "Family",
    "FamilyDefinition",
    "FeedForward",
    "Form",
    "Matrix",
    "ModelSource",
    "ModuleWrapper",
    "Role",
    "anatomy_of",
    "attach_adapter",
    "bottleneck_widths",
    "empty_backbone",
    "insert_bottlenecks",
    "load_backbone",
    "model_source",
    "untie",
    "unwrap",
]


def __getattr__(name: str) -> Any:
    """Import the modules that need torch when they are first used."""
    if name in ("Adapted", "ModuleWrapper", "bottleneck_widths", "insert_bottlenecks", "unwrap"):
        from sparsebench.models import wrappers

        return getattr(wrappers, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
