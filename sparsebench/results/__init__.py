"""Results: their records, and the folder that stores them."""

from __future__ import annotations

from sparsebench.results.costs import Costs
from sparsebench.results.records import (
    Evaluation,
    LossPoint,
    Provenance,
    RunResult,
    Status,
    TrainingRecord,
)
from sparsebench.results.store import Store

__all__ = [
    "Costs",
    "Evaluation",
    "LossPoint",
    "Provenance",
    "RunResult",
    "Status",
    "Store",
    "TrainingRecord",
]
