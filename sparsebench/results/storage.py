"""How many bytes of storage a model takes, and how many of them are for one task alone."""

from __future__ import annotations

from typing import Literal

from sparsebench.results.records import CostRecord


class Storage(CostRecord):
    """Bytes of a deployed model on disk."""

    unit: Literal["B"] = "B"
    """Bytes."""

    dense: int
    """The weights as a deployed folder has them, every zero written out."""

    sparse: int
    """The weights in the smallest encoding that can be loaded back: each tensor dense, or as a bit
    for every entry and the values that are not zero."""

    per_task: int | None = None
    """What a user must store for this task beside one shared backbone: the smaller of what trained
    with the masks, and the sparse encoding of all tensors that differ from the backbone's; None
    where the backbone is not known."""

    per_task_as: Literal["trained values and masks", "changed tensors"] | None = None
    """Which of the two that is."""
