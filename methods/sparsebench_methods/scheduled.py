"""Settings and steps that methods with a mask share: sparsity, pattern and schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from sparsebench import Method, MethodConfig
from sparsebench.sparsity import (
    HALF,
    Pattern,
    Schedule,
    Scope,
    has_sparsity,
    prune,
    remask,
    rounding_remarks,
)

if TYPE_CHECKING:
    from torch import nn


class SparsityConfig(MethodConfig):
    """Settings of every method that prunes to a given sparsity."""

    sparsity: float = Field(default=0.9, ge=0, lt=1)
    """Final share of pruned weights in the matrices of the blocks; the others are not pruned."""


class PatternConfig(SparsityConfig):
    """Settings of every method whose mask has a pattern."""

    pattern: Pattern = Pattern.UNSTRUCTURED
    """``unstructured``; ``2:4``, a sparsity of 0.5; or ``structured``: sparsity is the share of
    attention heads and of FFN neurons that is removed."""

    @model_validator(mode="before")
    @classmethod
    def _half_by_default(cls, values: Any) -> Any:
        half = isinstance(values, dict) and values.get("pattern") == Pattern.TWO_OF_FOUR
        return {"sparsity": HALF, **values} if half else values

    @model_validator(mode="after")
    def _half_at_most(self) -> Self:
        if self.pattern == Pattern.TWO_OF_FOUR and self.sparsity != HALF:
            raise ValueError("the pattern 2:4 means a sparsity of 0.5: leave sparsity out")
        return self


class ScopedPatternConfig(PatternConfig):
    """Settings of every method whose mask has a pattern, within matrices or across them."""

    scope: Scope = Scope.PER_MATRIX
    """Whether weights compete within each matrix or across all."""


class ScheduleConfig(SparsityConfig):
    """Settings of every method that prunes on a schedule."""

    initial_sparsity: float = Field(default=0.0, ge=0, lt=1)
    """The share before the schedule starts."""

    start: float = Field(default=0.1, ge=0, le=1)
    """Share of the run after which the sparsity begins to grow."""

    end: float = Field(default=0.8, ge=0, le=1)
    """Share of the run after which the sparsity is final."""

    @model_validator(mode="after")
    def _start_before_end(self) -> Self:
        if self.start > self.end:
            raise ValueError(f"start ({self.start:g}) is after end ({self.end:g})")
        return self


class ScheduledSparsity(Method):
    """Chooses masks before every step, at the current sparsity of the schedule."""

    config: ScheduleConfig
    _remarks: tuple[str, ...] = ()

    @property
    def schedule(self) -> Schedule:
        """Sparsity over the run."""
        config = self.config
        return Schedule(config.initial_sparsity, config.sparsity, config.start, config.end)

    @property
    def scope(self) -> Scope:
        """Between which matrices scores compete."""
        return Scope.PER_MATRIX

    @property
    def pattern(self) -> Pattern:
        """Which weights may be pruned together."""
        return Pattern.UNSTRUCTURED

    @property
    def target_sparsity(self) -> float | None:
        """The sparsity in the settings; None with the structured pattern, which leaves no zeros."""
        return None if self.pattern is Pattern.STRUCTURED else self.config.sparsity

    def choose(self, model: nn.Module, sparsity: float) -> None:
        """Choose all masks again."""
        remask(model, sparsity=sparsity, scope=self.scope, pattern=self.pattern)

    def reach(self, model: nn.Module, sparsity: float) -> None:
        """Choose all masks again, unless they have this sparsity already."""
        if not has_sparsity(model, sparsity, scope=self.scope, pattern=self.pattern):
            self.choose(model, sparsity)

    def before_step(self, model: nn.Module, progress: float) -> None:
        """Choose all masks again, at the sparsity of the schedule."""
        self.choose(model, self.schedule.at(progress))

    def is_final(self, progress: float) -> bool:
        """Whether the final sparsity is reached."""
        return self.schedule.is_final(progress)

    def deploy(self, model: nn.Module) -> nn.Module:
        """Prune for good, to the final sparsity whatever the checkpoint had."""
        self.reach(model, self.config.sparsity)
        if self.pattern is Pattern.STRUCTURED:
            self._remarks = rounding_remarks(model, self.config.sparsity, scope=self.scope)
        prune(model, pattern=self.pattern)
        return model

    def remarks(self) -> tuple[str, ...]:
        """Return how the structured pattern has rounded the sparsity."""
        return self._remarks
