"""Magnitude pruning: the smallest weights are pruned, at once or gradually."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import Field

from sparsebench import Stage, TrainingData
from sparsebench.sparsity import Masked, Pattern, Schedule, Scope, attach
from sparsebench_methods.scheduled import ScheduleConfig, ScheduledSparsity, ScopedPatternConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from sparsebench import Backbone


class Mode(StrEnum):
    """When weights are pruned."""

    ONE_SHOT = "one_shot"
    """All at once, with or without training afterwards."""

    GRADUAL = "gradual"
    """On a cubic schedule in training."""


class MagnitudeConfig(ScheduleConfig, ScopedPatternConfig):
    """Settings of ``magnitude``."""

    mode: Mode = Mode.GRADUAL
    """When weights are pruned: ``one_shot`` or ``gradual``."""

    refresh: float = Field(default=0.01, ge=0, le=1)
    """Gradual: the share of the run between two choices of the masks; 0: choose at every step."""

    retrain: float = Field(default=0.5, ge=0, le=1)
    """One-shot: the share of the run after pruning, a second stage; 0 prunes at the very end."""


class Magnitude(ScheduledSparsity):
    """Trains every weight and prunes those of smallest magnitude.

    ``gradual`` (Zhu and Gupta): sparsity grows on a cubic schedule. A pruned weight gets no
    gradient, keeps its value, and comes back if others become smaller. ``one_shot``: full
    fine-tuning, then pruning at once, then fine-tuning of the remaining weights.
    """

    Config = MagnitudeConfig
    paper = "arXiv:1710.01878"
    config: MagnitudeConfig

    @property
    def schedule(self) -> Schedule:
        """Sparsity over the run: the cubic schedule, or a single step."""
        config = self.config
        if config.mode is Mode.ONE_SHOT:
            pruning = 1 - config.retrain
            return Schedule(0.0, config.sparsity, pruning, pruning)
        return Schedule(
            config.initial_sparsity,
            config.sparsity,
            config.start,
            config.end,
            every=config.refresh,
        )

    @property
    def scope(self) -> Scope:
        """Between which matrices weights compete."""
        return self.config.scope

    @property
    def pattern(self) -> Pattern:
        """Which weights may be pruned together."""
        return self.config.pattern

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Let everything train, the matrices of the blocks under a mask."""
        model: nn.Module = backbone.model.requires_grad_(requires_grad=True)
        attach(model, {m: Masked(m.weight(model)) for m in backbone.anatomy.matrices()})
        return model

    def stages(self) -> Sequence[Stage]:
        """Return one stage, or for one-shot pruning those before and after it."""
        if self.config.mode is Mode.GRADUAL:
            return super().stages()
        after = self.config.retrain
        stages = (Stage("tune", 1 - after), Stage("retrain", after))
        return [stage for stage in stages if stage.share > 0]

    def begin_stage(self, model: nn.Module, stage: Stage, data: TrainingData) -> None:  # noqa: ARG002
        """Prune before the second stage of one-shot pruning."""
        if stage.name == "retrain":
            self.choose(model, self.config.sparsity)

    def before_step(self, model: nn.Module, progress: float) -> None:
        """Choose the masks again if the sparsity of the schedule has changed."""
        sparsity = self.schedule.at(progress)
        if sparsity:
            self.reach(model, sparsity)
