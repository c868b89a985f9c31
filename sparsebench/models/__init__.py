"""Loading backbones with heads, and the anatomy of each family."""

from __future__ import annotations

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
from sparsebench.models.around import Around
from sparsebench.models.backbone import Backbone, load_backbone
from sparsebench.models.bottlenecks import Adapted, bottleneck_widths, insert_bottlenecks
from sparsebench.models.families import FORMS, Family, Form
from sparsebench.models.sources import ModelSource, model_source
from sparsebench.models.surgery import untie

__all__ = [
    "ARCHITECTURES",
    "FORMS",
    "Adapted",
    "Anatomy",
    "Around",
    "Attention",
    "Backbone",
    "Block",
    "Family",
    "FeedForward",
    "Form",
    "Matrix",
    "ModelSource",
    "Role",
    "anatomy_of",
    "attach_adapter",
    "bottleneck_widths",
    "insert_bottlenecks",
    "load_backbone",
    "model_source",
    "untie",
]
