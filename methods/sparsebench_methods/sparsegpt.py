"""SparseGPT: pruning that corrects the weights that stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pydantic import Field

from sparsebench.sparsity import Pattern, pruned_count, two_of_four, without_lowest
from sparsebench_methods.calibrated import CalibratedConfig, CalibratedPruning

if TYPE_CHECKING:
    from torch import Tensor

_GROUP = 4


class SparseGPTConfig(CalibratedConfig):
    """Settings of ``sparsegpt``."""

    damping: float = Field(default=0.01, gt=0)
    """What is added to the diagonal of the Hessian, as a share of its mean."""

    columns: int = Field(default=128, ge=4, multiple_of=4)
    """Columns whose mask is chosen together, by weights that the columns before have corrected."""


class SparseGPT(CalibratedPruning):
    """Prunes column after column, and corrects the later columns for each pruned weight.

    With the Hessian ``H = X X^T`` of the inputs of a matrix, a pruned weight costs
    ``w^2 / [H^-1]``, and the best change of the later weights of its row makes up for it (optimal
    brain surgeon, on columns in order so that all rows share one inverse). Masks are chosen for 128
    columns at a time. The paper prunes pretrained language models and does not train; here
    everything is tuned first, and what is left is tuned again, both within the budget of the run
    (``tune_share: 0`` prunes the pretrained weights). The calibration data are examples of the
    task, where the paper takes 128 of the C4 corpus.
    """

    Config = SparseGPTConfig
    paper = "arXiv:2301.00774"
    config: SparseGPTConfig

    def statistic(self, inputs: Tensor) -> Tensor:
        """Return the sum of outer products ``[in, in]``."""
        return inputs.T @ inputs

    def prune_matrix(self, weight: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        """Prune and correct, 128 columns at a time."""
        weight, hessian = weight.clone(), mean.clone()
        unused = hessian.diagonal() == 0
        hessian.diagonal()[unused] = 1.0
        weight[:, unused] = 0.0
        hessian.diagonal().add_(self.config.damping * hessian.diagonal().mean())
        factor = inverse_factor(hessian)
        kept = torch.ones_like(weight, dtype=torch.bool)
        for start in range(0, weight.shape[1], self.config.columns):
            end = min(start + self.config.columns, weight.shape[1])
            self._prune_columns(weight, kept, factor, start, end)
        return kept, weight

    def _prune_columns(
        self, weight: Tensor, kept: Tensor, factor: Tensor, start: int, end: int
    ) -> None:
        """Prune the columns from ``start`` to ``end``, and correct all that follow."""
        size = weight.shape[0]
        pattern = self.config.pattern
        if pattern is Pattern.UNSTRUCTURED:
            costs = (weight[:, start:end] / factor.diagonal()[start:end]).square()
            before, after = (pruned_count(size * at, self.config.sparsity) for at in (start, end))
            (kept[:, start:end],) = without_lowest([costs], after - before)
        errors = torch.empty_like(weight[:, start:end])
        for column in range(start, end):
            if pattern is Pattern.TWO_OF_FOUR and column % _GROUP == 0:
                group = slice(column, column + _GROUP)
                kept[:, group] = two_of_four((weight[:, group] / factor.diagonal()[group]).square())
            pruned = weight[:, column] * kept[:, column]
            error = (weight[:, column] - pruned) / factor[column, column]
            weight[:, column:end] -= error[:, None] * factor[column, column:end]
            weight[:, column] = pruned
            errors[:, column - start] = error
        weight[:, end:] -= errors @ factor[start:end, end:]


def inverse_factor(hessian: Tensor) -> Tensor:
    """Return the upper Cholesky factor U of the inverse, ``H^-1 = U^T U``.

    Row ``j`` of it, over its diagonal entry, is the first row of the inverse of the part of H that
    remains once the columns before ``j`` are gone: all that the corrections need.

    Args:
        hessian: A symmetric positive definite matrix ``[in, in]``.
    """
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian.double()))
    factor: Tensor = torch.linalg.cholesky(inverse, upper=True)
    return factor.to(hessian.dtype)
