"""Building blocks of sparse methods: masks, maps of weights, branches, removal, schedules."""

from __future__ import annotations

from sparsebench.sparsity.masked import Masked, fold_masked, straight_through
from sparsebench.sparsity.masks import (
    HALF,
    Pattern,
    Scope,
    keep_highest,
    pruned_count,
    two_of_four,
    without_lowest,
)
from sparsebench.sparsity.parametrized_linear import (
    ParametrizedLinear,
    attach,
    attached,
    fold,
    no_autocast,
)
from sparsebench.sparsity.pruning import has_sparsity, prune, remask, rounding_remarks
from sparsebench.sparsity.schedules import Schedule

__all__ = [
    "HALF",
    "Masked",
    "ParametrizedLinear",
    "Pattern",
    "Schedule",
    "Scope",
    "attach",
    "attached",
    "fold",
    "fold_masked",
    "has_sparsity",
    "keep_highest",
    "no_autocast",
    "prune",
    "pruned_count",
    "remask",
    "rounding_remarks",
    "straight_through",
    "two_of_four",
    "without_lowest",
]
