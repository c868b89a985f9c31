"""The peak of one training step in a process of its own, which nothing else has filled before.

``python -m sparsebench.execution.profile_runs.training_probe`` prints the record;
`training_peak` runs it. The step is one of AdamW in fp32, on random tokens, in the first stage of
the method. Memory in use before the backbone is loaded is left out, as in a run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import torch

from sparsebench.execution.profile_runs.subjects import LABELS
from sparsebench.method_registry import configure, prepared
from sparsebench.models import Form, load_backbone, model_source
from sparsebench.profiling import MemoryTracker, dummy_inputs
from sparsebench.results.costs import MemoryPeak

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from sparsebench.execution.profile_runs.conditions import Condition
    from sparsebench.execution.profile_runs.subjects import Untrained


def training_peak(subject: Untrained, condition: Condition) -> MemoryPeak:
    """Measures the growth around loading a backbone, preparing it and one training step.

    Args:
        subject: The method and its backbone.
        condition: Where and on what; weights are in fp32 in any case.

    Raises:
        RuntimeError: The process failed; the message is the last line that it wrote.
    """
    method = json.dumps([subject.method.name, subject.method.settings])
    spec = condition.spec
    sizes = [str(size) for size in (spec.batch_size, spec.length, spec.target_length)]
    arguments = [subject.source.spec, subject.form.value, method, str(condition.device), *sizes]
    command = [sys.executable, "-m", __name__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it wrote nothing"])[-1]
        raise RuntimeError("killed, as memory ran out" if done.returncode < 0 else last)
    return MemoryPeak.model_validate_json(done.stdout.strip().splitlines()[-1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Makes one training step and prints its peak as JSON."""
    parser = argparse.ArgumentParser(description="Measure the peak memory of a training step.")
    for name in ("model", "form", "method", "device"):
        parser.add_argument(name)
    for name in ("batch_size", "length", "target_length"):
        parser.add_argument(name, type=int)
    given = parser.parse_args(arguments)
    tracker = MemoryTracker(given.device)
    with tracker.track():
        _step(given)
    sys.stdout.write(tracker.peak.model_dump_json() + "\n")


def _step(given: argparse.Namespace) -> None:
    form = Form(given.form)
    labels = LABELS if form is Form.CLASSIFICATION else ()
    backbone = load_backbone(model_source(given.model), form=form, labels=labels)
    config = backbone.model.config
    name, settings = json.loads(given.method)
    method = configure(name, settings)
    view: Any = prepared(method, backbone).to(given.device).train()
    method.begin_stage(view, method.stages()[0])
    optimizer = torch.optim.AdamW(method.parameter_groups(view), lr=method.config.learning_rate)
    inputs = dummy_inputs(
        config,
        batch_size=given.batch_size,
        length=given.length,
        target_length=given.target_length,
        device=given.device,
    )
    method.before_step(view, 0.0)
    loss = view(**inputs, **_labels(form, inputs)).loss
    penalty = method.penalty(view)
    (loss if penalty is None else loss + penalty).backward()
    optimizer.step()


def _labels(form: Form, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns what the loss of a form is computed from; which answer is right does not matter."""
    ids = inputs["input_ids"]
    first = torch.zeros(len(ids), dtype=torch.long, device=ids.device)
    return {
        Form.CLASSIFICATION: {"labels": first},
        Form.SPAN: {"start_positions": first, "end_positions": first},
        Form.TEXT_TO_TEXT: {"labels": inputs.get("decoder_input_ids", ids)},
        Form.LANGUAGE_MODEL: {"labels": ids},
    }[form]


if __name__ == "__main__":
    main()
