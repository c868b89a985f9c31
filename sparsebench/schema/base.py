"""The base class of all validated data: suites, run specs, records and settings."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """Immutable data that rejects unknown keys and numbers that are not finite.

    The docstring of a field is its description in ``sparsebench show``. A subclass that needs
    other rules overrides ``model_config`` and says why.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )
