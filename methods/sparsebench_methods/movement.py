"""Movement pruning: the weights that training moves towards zero go."""

from __future__ import annotations

from sparsebench.sparsity import Scope
from sparsebench_methods.scheduled import ScheduleConfig, ScheduledSparsity
from sparsebench_methods.scored import Scored, ScoredConfig


class MovementConfig(ScoredConfig, ScheduleConfig):
    """Settings of ``movement``."""

    scope: Scope = Scope.PER_MATRIX
    """Whether scores compete within each matrix or across all."""


class Movement(Scored, ScheduledSparsity):
    """Trains the weights, and of the blocks' matrices a score for each weight as well.

    A score gathers how far training moves its weight away from zero; the weights with the lowest
    scores are pruned, on a cubic schedule, and may come back. No distillation.
    """

    Config = MovementConfig
    paper = "arXiv:2005.07683"
    config: MovementConfig

    @property
    def scope(self) -> Scope:
        """Where scores compete."""
        return self.config.scope
