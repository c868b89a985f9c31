"""Limits of time and memory of a run; they affect neither its score nor its key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Field

from sparsebench.schema.base import FrozenModel

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = {"": 1, "s": 1, "min": 60, "h": 3600, "d": 86400}
_BYTES = {"": 1, "MB": 10**6, "GB": 10**9, "MiB": 2**20, "GiB": 2**30}
_QUANTITY = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*([A-Za-z]*)\s*")


def _reader(units: Mapping[str, int], examples: str, *, least: float = 0) -> BeforeValidator:
    """Return a validator that converts a text such as ``90 s``; numbers pass if not too small."""

    def read(value: object) -> object:
        if isinstance(value, int | float) and value < least:
            raise ValueError(f"{value!r} is too few bytes: write {examples}")
        if not isinstance(value, str):
            return value
        match = _QUANTITY.fullmatch(value)
        if not match or match[2] not in units:
            raise ValueError(f"{value!r} is not a limit: write {examples}")
        return round(float(match[1]) * units[match[2]], 3)

    return BeforeValidator(read)


Seconds = Annotated[float, _reader(_SECONDS, "'90 s', '45 min' or '2 h'"), Field(gt=0)]
"""Seconds, as a number or as ``90 s``, ``45 min``, ``2 h``, ``1 d``."""

Bytes = Annotated[int, _reader(_BYTES, "'800 MiB' or '4 GiB'", least=2**20), Field(ge=2**20)]
"""Bytes, as a number or as ``800 MiB``, ``4 GiB``, ``4 GB``."""


class Limits(FrozenModel):
    """The limits of each run."""

    time: Seconds | None = None
    """The maximum duration of a run, in seconds or as ``2 h``; null for no limit."""

    memory: Bytes | None = None
    """The maximum main memory of a run without its libraries, in bytes or as ``4 GiB``; null for no
    limit. Linux only; does not limit GPU memory."""
