"""How sure a number is: intervals, paired tests, and ranks that only separated methods hold alone.

Two things make a score uncertain, and they are kept apart: training again with another seed gives
another model, and asking other examples gives another score of the same model.
"""

from __future__ import annotations

from sparsebench.statistics.estimates import (
    CONFIDENCE,
    POWER,
    Estimate,
    Panel,
    difference,
    estimate,
    pairwise,
)
from sparsebench.statistics.influence import SMOOTH, arrays, influence
from sparsebench.statistics.paired import PairedTest, bootstrap_test, mcnemar
from sparsebench.statistics.ranks import LEVEL, Standing, holm, standings

__all__ = [
    "CONFIDENCE",
    "LEVEL",
    "POWER",
    "SMOOTH",
    "Estimate",
    "PairedTest",
    "Panel",
    "Standing",
    "arrays",
    "bootstrap_test",
    "difference",
    "estimate",
    "holm",
    "influence",
    "mcnemar",
    "pairwise",
    "standings",
]
