"""What all records of costs share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, model_validator

Shapes = dict[str, tuple[int, ...]]
"""The shape of every input of a forward pass, by name: ``{"input_ids": (1, 128)}``."""


LARGEST = 2**63 - 1
"""The largest number that is counted: others come from broken files, and overflow."""


class CostRecord(BaseModel):
    """A record of what was measured: immutable, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="after")
    def _counts_are_countable(self) -> CostRecord:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, int) and abs(value) > LARGEST:
                raise ValueError(f"{name} is larger than any count")
        return self
