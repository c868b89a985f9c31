"""DSEE: dually sparsity-embedded efficient tuning (arXiv:2111.00160)."""

from __future__ import annotations

from sparsebench_methods.dsee.method import DSEE, DSEEConfig, Prune
from sparsebench_methods.dsee.pruning import Score
from sparsebench_methods.dsee.update import Support

__all__ = ["DSEE", "DSEEConfig", "Prune", "Score", "Support"]
