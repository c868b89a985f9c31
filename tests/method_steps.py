"""A method on one batch: a few steps, deploy, save, load, predict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from sparsebench import Backbone, Form, Method, load
from sparsebench.conformance.outcomes import state_difference
from sparsebench.conformance.run_trace import RunOptions, trace_run
from sparsebench.deployed import save

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Batch = dict[str, torch.Tensor]


class _NoData:
    """For methods that look at no training examples."""

    def batches(self, examples: int, size: int | None = None) -> Iterator[Batch]:
        raise AssertionError(f"the method asks for {examples} examples, {size} at a time")


NO_DATA = _NoData()


def train_steps(
    method: Method, model: Any, batch: Batch, *, steps: int = 2, rate: float = 1e-2
) -> float:
    """Train as the harness does, without its Trainer; return the last loss."""
    method.config = method.config.model_copy(update={"learning_rate": rate})
    optimizer = method.optimizer(model)
    loss = torch.tensor(0.0)
    model.train()
    for step in range(steps):
        method.before_step(model, step / steps)
        outputs = model(**batch)
        loss = outputs.loss
        method.loss(model, batch, outputs, loss).backward()
        method.after_backward(model, step / steps)
        optimizer.step()
        optimizer.zero_grad()
    method.before_step(model, 1.0)
    model.eval()
    return loss.item()


def predict(model: Any, batch: Batch, form: Form) -> tuple[torch.Tensor, ...]:
    """Return the logits, and for a model that generates text its output."""
    with torch.no_grad():
        outputs = model(**batch)
        if form is Form.SPAN:
            return outputs.start_logits, outputs.end_logits
        if form is Form.CLASSIFICATION:
            return (outputs.logits,)
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
        return outputs.logits, model.generate(**inputs, max_new_tokens=4, do_sample=False)


def round_trip(model: Any, backbone: Backbone, folder: Path) -> Any:
    """Save a deployed model and load it."""
    save(model, folder, form=backbone.form, head=backbone.head)
    return load(folder)


def largest_difference(a: tuple[torch.Tensor, ...], b: tuple[torch.Tensor, ...]) -> float:
    """Return the largest difference of two predictions of the same shapes."""
    assert [x.shape for x in a] == [x.shape for x in b]
    return max((x.double() - y.double()).abs().max().item() for x, y in zip(a, b, strict=True))


def snapshot(model: Any) -> dict[str, torch.Tensor]:
    """Return a copy of every parameter, a shared one under each of its names."""
    named = model.named_parameters(remove_duplicate=False)
    return {name: parameter.detach().clone() for name, parameter in named}


def assert_survives_a_kill(make: Callable[[], Method], backbone: Backbone, *, at: int) -> None:
    """Kill a run of 8 steps after a step, resume it, and compare with an uninterrupted run."""
    whole, resumed = (
        trace_run(make, backbone.family, form=backbone.form, options=RunOptions(cut_at=cut))
        for cut in (None, at)
    )
    assert whole.failure is None
    assert resumed.failure is None
    assert not state_difference(whole.model, resumed.model)
