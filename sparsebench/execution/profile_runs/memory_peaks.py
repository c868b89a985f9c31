"""Peak memory in processes of their own: of inference, and of one training step.

``python -m sparsebench.execution.profile_runs.memory_peaks`` runs the training step and prints its
peak; ``training_peak`` starts that process. The step is one of AdamW in fp32 on random tokens, in
the first stage of the method. Memory in use before the backbone is loaded does not count, as in a
run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import torch

from sparsebench.execution.profile_runs.profiled_models import LABELS, UntrainedModel
from sparsebench.execution.teacher_model import stand_in
from sparsebench.method_registry import configure, prepared
from sparsebench.models import Form, load_backbone, model_source
from sparsebench.profiling import DummyData, MemoryTracker, dummy_batch, dummy_inputs
from sparsebench.profiling.memory_probe import fresh_inference_peak
from sparsebench.results.costs import MemoryPeak

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sparsebench.execution.profile_runs.conditions import Condition
    from sparsebench.execution.profile_runs.profiled_models import ProfiledModel
    from sparsebench.results.costs import Costs
    from sparsebench.schema.measuring import ProfileSettings

LOADER = "sparsebench.deployed:load"
"""The function that loads a deployed folder in the process of ``fresh_inference_peak``."""


def with_memory_peaks(
    costs: Costs,
    *,
    profiled: ProfiledModel,
    folder: Path | None,
    condition: Condition,
    settings: ProfileSettings,
) -> Costs:
    """Return costs with the peaks that the settings ask for, or the reasons why one is missing.

    Args:
        costs: The costs of the forward passes.
        profiled: The model they belong to.
        folder: Its deployed folder; None on the meta device.
        condition: The condition they were measured under.
        settings: What to measure.
    """
    memory, missing = costs.memory, dict(costs.missing)
    if memory is None or folder is None:
        return costs
    if settings.fresh_memory and condition.device == torch.device("cpu"):
        try:
            fresh = fresh_inference_peak(
                folder, loader=LOADER, shapes=memory.shapes, dtype=condition.spec.dtype
            )
            memory = memory.model_copy(update={"fresh": fresh})
        except RuntimeError as error:
            missing["fresh"] = str(error)
    if settings.training_memory and isinstance(profiled, UntrainedModel):
        try:
            memory = memory.model_copy(update={"training": training_peak(profiled, condition)})
        except RuntimeError as error:
            missing["training"] = str(error)
    return costs.model_copy(update={"memory": memory, "missing": missing})


def training_peak(untrained: UntrainedModel, condition: Condition) -> MemoryPeak:
    """Measure the growth of memory over loading a backbone, preparing it and one training step.

    Args:
        untrained: The method and its backbone.
        condition: The device and the shapes; weights are in fp32 in any case.

    Raises:
        RuntimeError: The process failed; the message is the last line that it wrote.
    """
    method = json.dumps([untrained.method.name, untrained.method.settings])
    spec = condition.spec
    sizes = [str(size) for size in (spec.batch_size, spec.length, spec.target_length)]
    model = [untrained.source.spec, untrained.form.value]
    command = [sys.executable, "-P", "-m", __name__, *model, method, str(condition.device), *sizes]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it wrote nothing"])[-1]
        raise RuntimeError("killed, as memory ran out" if done.returncode < 0 else last)
    return MemoryPeak.model_validate_json(done.stdout.strip().splitlines()[-1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one training step and print its peak as JSON."""
    parser = argparse.ArgumentParser(description="Measure the peak memory of a training step.")
    for name in ("model", "form", "method", "device"):
        parser.add_argument(name)
    for name in ("batch_size", "length", "target_length"):
        parser.add_argument(name, type=int)
    given = parser.parse_args(arguments)
    tracker = MemoryTracker(given.device)
    with tracker.track():
        _training_step(given)
    sys.stdout.write(tracker.peak.model_dump_json() + "\n")


def _training_step(given: argparse.Namespace) -> None:
    form = Form(given.form)
    labels = LABELS if form is Form.CLASSIFICATION else ()
    backbone = load_backbone(model_source(given.model), form=form, labels=labels)
    config = backbone.model.config
    name, settings = json.loads(given.method)
    method = configure(name, settings)
    if method.teacher_name is not None:
        method.teacher = stand_in(backbone, device=given.device)
    view: Any = prepared(method, backbone).to(given.device)
    method.begin_stage(view.eval(), method.stages()[0], DummyData(backbone.model, form))
    optimizer = method.optimizer(view.train())
    inputs = dummy_inputs(
        config,
        batch_size=given.batch_size,
        length=given.length,
        target_length=given.target_length,
        device=given.device,
    )
    method.before_step(view, 0.0)
    batch = dummy_batch(inputs, form)
    outputs = view(**batch)
    loss: Any = method.loss(view, batch, outputs, outputs.loss)
    loss.backward()
    method.after_backward(view, 0.0)
    optimizer.step()


if __name__ == "__main__":
    main()
