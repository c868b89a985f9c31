"""Loading backbones with heads, and the anatomy of each family."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparsebench.models.adapters import attach_adapter
from sparsebench.models.anatomy import (
    Anatomy,
    Attention,
    Block,
    FeedForward,
    Matrix,
    Role,
    anatomy_of,
)
from sparsebench.models.architectures import ARCHITECTURES
from sparsebench.models.backbone import Backbone, empty_backbone, load_backbone
from sparsebench.models.families import FORMS, GENERATING, Family, Form
from sparsebench.models.sources import ModelSource, model_source
from sparsebench.models.surgery import untie

if TYPE_CHECKING:
    from sparsebench.models.bottlenecks import Adapted, bottleneck_widths, insert_bottlenecks
    from sparsebench.models.module_wrapper import ModuleWrapper, unwrap

__all__ = [
    "ARCHITECTURES",
    "FORMS",
    "GENERATING",
    "Adapted",
    "Anatomy",
    "Attention",
    "Backbone",
    "Block",
    "Family",
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
    """Imports what needs torch only when it is asked for."""
    if name in ("Adapted", "bottleneck_widths", "insert_bottlenecks"):
        from sparsebench.models import bottlenecks

        return getattr(bottlenecks, name)
    if name in ("ModuleWrapper", "unwrap"):
        from sparsebench.models import module_wrapper

        return getattr(module_wrapper, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
