"""The uncertainty of scores: confidence intervals, paired tests, ranks of significant differences.

A score has two sources of uncertainty, which are kept apart: training with another seed gives
another model, and evaluating on other examples gives another score of the same model.
"""

from __future__ import annotations

from sparsebench.statistics.estimates import (
    CONFIDENCE,
    POWER,
    Estimate,
    TaskScores,
    difference,
    estimate,
    pairwise,
)
from sparsebench.statistics.influence import SMOOTH_METRICS, as_arrays, influence
from sparsebench.statistics.significance import (
    LEVEL,
    PairedTest,
    Standing,
    bootstrap_test,
    holm,
    mcnemar,
    standings,
)

__all__ = [
    "CONFIDENCE",
    "LEVEL",
    "POWER",
    "SMOOTH_METRICS",
    "Estimate",
    "PairedTest",
    "Standing",
    "TaskScores",
    "as_arrays",
    "bootstrap_test",
    "difference",
    "estimate",
    "holm",
    "influence",
    "mcnemar",
    "pairwise",
    "standings",
]
