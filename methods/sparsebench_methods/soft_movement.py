"""Soft movement pruning: a threshold prunes by score, and a penalty lowers the scores."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from pydantic import Field

from sparsebench.sparsity import Schedule, attached, fold_masked, keep_highest
from sparsebench_methods.movement import ScoredConfig, ScoredMethod, ScoredWeight

if TYPE_CHECKING:
    from torch import Tensor, nn


class SoftMovementConfig(ScoredConfig):
    """Settings of ``soft_movement``."""

    threshold: float = Field(default=0.1, gt=0, lt=1)
    """Final threshold tau: a weight stays if the sigmoid of its score is above it."""

    penalty: float = Field(default=400.0, ge=0)
    """Final weight lambda of the penalty, which determines the sparsity."""

    keep_at_least: float = Field(default=0.005, ge=0, lt=1)
    """Share of each matrix that always stays."""

    start: float = Field(default=0.1, ge=0, le=1)
    """Share of the run after which the threshold begins to rise from 0."""

    end: float = Field(default=0.8, ge=0, le=1)
    """Share of the run after which the threshold is final."""


class SoftMovement(ScoredMethod):
    """Movement pruning that keeps the weights with ``sigmoid(score) > tau``.

    The threshold tau rises on a cubic schedule, and with it the weight of a penalty on the mean
    ``sigmoid(score)``. The final sparsity is not a setting: it follows from the penalty, the
    learning rate of the scores and the length of the run. No distillation.

    Needs a long run: below about 1,000 steps the mask is mostly chance.
    """

    Config = SoftMovementConfig
    paper = "arXiv:2005.07683"
    config: SoftMovementConfig

    def __init__(self, config: SoftMovementConfig | None = None) -> None:
        super().__init__(config)
        self._risen = 0.0

    @property
    def learns_sparsity(self) -> bool:
        """True: the sparsity follows from the penalty."""
        return True

    @property
    def schedule(self) -> Schedule:
        """The threshold, as a share of the final one, over the run."""
        return Schedule(0.0, 1.0, self.config.start, self.config.end)

    @torch.no_grad()
    def before_step(self, model: nn.Module, progress: float) -> None:
        """Apply the threshold of the schedule to the scores."""
        self._risen = self.schedule.at(progress)
        tau = self._risen * self.config.threshold
        limit = math.log(tau / (1 - tau)) if tau else -math.inf
        parts = [change for _, change in attached(model, ScoredWeight)]
        for part in parts:
            torch.gt(part.scores, limit, out=part.mask)
        kept = torch.stack([part.mask.count_nonzero() for part in parts]).tolist()
        for part, count in zip(parts, kept, strict=True):
            if count < self.config.keep_at_least * part.mask.numel():
                most = 1 - self.config.keep_at_least
                part.mask.copy_(keep_highest([part.scores], sparsity=most)[0])

    def is_final(self, progress: float) -> bool:
        """Whether the threshold is final."""
        return self.schedule.is_final(progress)

    def penalty(self, model: nn.Module) -> Tensor | None:
        """Return lambda times the mean over all matrices of their mean ``sigmoid(score)``."""
        if self._risen == 0:
            return None
        means = [change.scores.sigmoid().mean() for _, change in attached(model, ScoredWeight)]
        return torch.stack(means).mean() * (self.config.penalty * self._risen)

    def deploy(self, model: nn.Module) -> nn.Module:
        """Fold the masks into the weights."""
        fold_masked(model)
        return model
