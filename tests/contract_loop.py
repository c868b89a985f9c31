"""A plain training loop that calls a method in the order the contract documents."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from method_steps import NO_DATA

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from torch import Tensor, nn

    from sparsebench import Backbone, Method


@dataclass
class Checkpoint:
    """The state from which a run resumes: its step, and the states of view and optimizer."""

    step: int
    model: dict[str, Tensor]
    optimizer: dict[str, Any]


@dataclass
class Loop:
    """Trains a prepared model.

    Attributes:
        method: The method.
        model: Its training view.
        batches: Batches with labels, taken in turn.
        steps: Optimizer steps of the whole run.
        losses: The loss of every step, penalty included.
        after_step: Called after every optimizer step with the number of finished steps.
    """

    method: Method
    model: nn.Module
    batches: Sequence[dict[str, Tensor]]
    steps: int
    losses: list[float] = field(default_factory=list)
    after_step: Callable[[int], None] = lambda _: None

    def train(self, *, until: int | None = None, since: Checkpoint | None = None) -> Checkpoint:
        """Train all stages, or to a step, or from a checkpoint; return the last checkpoint."""
        first, until = since.step if since else 0, self.steps if until is None else until
        start, share = 0, 0.0
        reached = None
        for stage in self.method.stages():
            share += stage.share
            end = round(self.steps * share)
            self.method.begin_stage(self.model, stage, NO_DATA)
            if first < end and start < until:
                optimizer = self._optimizer()
                if since and start <= first:
                    self.model.load_state_dict(since.model)
                    optimizer.load_state_dict(since.optimizer)
                for step in range(max(start, first), min(end, until)):
                    self._step(optimizer, step, decay=(end - step) / (end - start))
                reached = Checkpoint(
                    min(end, until),
                    copy.deepcopy(self.model.state_dict()),
                    copy.deepcopy(optimizer.state_dict()),
                )
            start = end
        if until == self.steps:
            self.method.before_step(self.model, 1.0)
        assert reached is not None
        return reached

    def _optimizer(self) -> torch.optim.Optimizer:
        optimizer = self.method.optimizer(self.model)
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
        return optimizer

    def _step(self, optimizer: torch.optim.Optimizer, step: int, *, decay: float) -> None:
        self.method.before_step(self.model, step / self.steps)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * decay
        batch = self.batches[step % len(self.batches)]
        outputs = self.model(**batch)
        loss = self.method.loss(self.model, batch, outputs, outputs.loss)
        loss.backward()
        self.method.after_backward(self.model, step / self.steps)
        optimizer.step()
        optimizer.zero_grad()
        self.losses.append(loss.item())
        self.after_step(step + 1)


def drive(
    method: Method, backbone: Backbone, batches: Sequence[dict[str, Tensor]], steps: int
) -> nn.Module:
    """Prepare, train and deploy; return the deployed model in evaluation mode."""
    loop = Loop(method, method.prepare(backbone), batches, steps)
    loop.train()
    return method.deploy(loop.model.eval())
