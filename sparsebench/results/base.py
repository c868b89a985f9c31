"""The base class of all stored records."""

from __future__ import annotations

from pydantic import ConfigDict, model_validator

from sparsebench.schema.base import FrozenModel

Shapes = dict[str, tuple[int, ...]]
"""The shape of every input of a forward pass, by name: ``{"input_ids": (1, 128)}``."""

LONGEST = 1e9
"""The largest number of seconds of a record, about 30 years; only a broken clock measures more."""

LARGEST = 2**63 - 1
"""The largest integer of a record; only broken files have larger ones, and they overflow."""


class Record(FrozenModel):
    """A part of a result: immutable, strict about its keys, with countable integers.

    A loss that diverged is infinite, so such numbers are kept.
    """

    model_config = ConfigDict(allow_inf_nan=True, ser_json_inf_nan="strings")

    @model_validator(mode="after")
    def _integers_are_countable(self) -> Record:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, int) and abs(value) > LARGEST:
                raise ValueError(f"{name} is larger than any count")
        return self
