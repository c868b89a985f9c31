"""Wanda: pruning by weights and activations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from sparsebench.sparsity import Pattern, pruned_count, two_of_four
from sparsebench_methods.calibrated import CalibratedConfig, CalibratedPruning

if TYPE_CHECKING:
    from torch import Tensor


class Wanda(CalibratedPruning):
    """Prunes in every row the weights with the smallest product of size and input norm.

    The score of a weight is ``|w| * ||x||``, with the norm of its input over all tokens of some
    training examples; the weights that feed one output compete. The paper prunes pretrained
    language models and does not train; here everything is tuned first, and what is left is tuned
    again, both within the budget of the run (``tune_share: 0`` prunes the pretrained weights). The
    calibration data are examples of the task, where the paper takes 128 of the C4 corpus.
    """

    Config = CalibratedConfig
    paper = "arXiv:2306.11695"

    def statistic(self, inputs: Tensor) -> Tensor:
        """Return the squared norm of every input ``[in]``."""
        return inputs.square().sum(0)

    def prune_matrix(self, weight: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        """Prune the lowest scores of every row; the other weights stay as they are."""
        scores = weight.abs() * mean.sqrt()
        if self.config.pattern is Pattern.TWO_OF_FOUR:
            return two_of_four(scores), weight
        return keep_highest_of_rows(scores, self.config.sparsity), weight


def keep_highest_of_rows(scores: Tensor, sparsity: float) -> Tensor:
    """Return the mask that prunes the lowest scores of every row.

    The rows prune as many weights each, or one more where the share of a row is no whole number, so
    that the matrix has exactly ``int(numel * sparsity)`` zeros.

    Args:
        scores: Scores ``[out, in]``.
        sparsity: The share to prune.
    """
    rows, columns = scores.shape
    ends = [pruned_count(row * columns, sparsity) for row in range(rows + 1)]
    counts = torch.tensor(ends, device=scores.device).diff()
    ranks = scores.argsort(dim=1, stable=True).argsort(dim=1)
    return ranks >= counts[:, None]
