"""The callback of a stage: at each step it drives schedules, evaluations, stops and checkpoints."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from sparsebench.training.checkpoints import mark_complete

if TYPE_CHECKING:
    from collections.abc import Callable

    from sparsebench.method import Method
    from sparsebench.training.distributed import ProcessGroup


class DivergedError(ArithmeticError):
    """The training loss is no longer finite."""


@dataclass(frozen=True)
class Span:
    """The optimizer steps of one stage, counted through all stages of the run.

    Attributes:
        start: Steps done before the stage.
        steps: Steps of the stage.
        total: Steps of the run.
    """

    start: int
    steps: int
    total: int

    def progress(self, step: int) -> float:
        """Return the share of the run's budget that is spent after ``step`` steps of the stage."""
        return (self.start + step) / self.total


class StageCallback(TrainerCallback):  # type: ignore[misc]
    """Drive the method's schedules, evaluations, stops and checkpoints.

    Args:
        method: The method.
        span: The steps of the stage.
        on_step: Called with the steps of the run that are done and the latest loss.
        on_evaluate: Called with the step at each of ``evaluate_at``.
        evaluate_at: Steps of the run after which to evaluate.
        stop: Returns whether to save a checkpoint after the current step and stop.
        group: The processes that train together; the main one evaluates and decides when to stop.
    """

    def __init__(
        self,
        *,
        method: Method,
        span: Span,
        on_step: Callable[[int, float | None], None],
        on_evaluate: Callable[[int], None],
        evaluate_at: frozenset[int],
        stop: Callable[[], bool],
        group: ProcessGroup,
    ) -> None:
        self.method = method
        self.span = span
        self.on_step = on_step
        self.on_evaluate = on_evaluate
        self.evaluate_at = evaluate_at
        self.stop = stop
        self.group = group
        self.stopped = False
        self.loss: float | None = None

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Let the method advance its schedules."""
        with self.group.shared_random_state(args.seed + state.global_step):
            self.method.before_step(kwargs["model"], self.span.progress(state.global_step))

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Let the method see the gradients."""
        with self.group.shared_random_state(args.seed + state.global_step):
            self.method.after_backward(kwargs["model"], self.span.progress(state.global_step))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Report the step, evaluate if one is due, and stop if requested."""
        step = self.span.start + state.global_step
        self.on_step(step, self.loss)
        if step in self.evaluate_at:
            if self.group.is_main:
                self.on_evaluate(step)
            self.group.barrier()
        if state.global_step < self.span.steps and self.group.broadcast(self.stop()):
            control.should_save = control.should_training_stop = self.stopped = True

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Mark a checkpoint as complete once every process has written its part."""
        self.group.barrier()
        if self.group.is_main:
            mark_complete(Path(args.output_dir) / f"checkpoint-{state.global_step}")

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Stop a run whose loss is no longer finite."""
        self.loss = (kwargs.get("logs") or {}).get("loss", self.loss)
        if self.loss is not None and not math.isfinite(self.loss):
            step = self.span.start + state.global_step
            raise DivergedError(f"the loss is {self.loss} at step {step} of {self.span.total}")
