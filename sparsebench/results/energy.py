"""What a forward pass draws from the mains."""

from __future__ import annotations

from typing import Literal

from sparsebench.results.records import CostRecord


class Energy(CostRecord):
    """Energy of one forward pass by the accelerator's own counter, idle draw included."""

    unit: Literal["J"] = "J"
    """Joules."""

    joules: float
    """Of one forward pass of the batch: the counter's growth over the passes, by their number."""

    reference: float | None = None
    """The same of the untouched backbone."""

    passes: int
    """Forward passes that the counter was read over."""
