"""What all records of costs share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

Shapes = dict[str, tuple[int, ...]]
"""The shape of every input of a forward pass, by name: ``{"input_ids": (1, 128)}``."""


class CostRecord(BaseModel):
    """A record of what was measured: immutable, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
