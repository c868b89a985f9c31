"""What a training step costs under each method, beside full fine-tuning and plain LoRA.

    pytest benchmarks/test_training_step.py

The steps of a method and of the two references are interleaved, and ratios are taken within a
round. On a CPU they are of CPU seconds in a single thread, so that they hold on a busy machine. A
step is the method's own work, forward, backward and AdamW, with masks at their final sparsity. On
``random:bert-base``, 8 sequences of 128 tokens.
"""

from __future__ import annotations

import time
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

import pytest
import torch

from sparsebench.methods import configure
from sparsebench.models import Form, load_backbone, model_source

if TYPE_CHECKING:
    from collections.abc import Callable

    Step = Callable[[], list[float]]

ROUNDS = 3
PROGRESS = 0.95
PARTS = ("before_step", "forward", "backward", "optimizer")
REFERENCES = ("full", "lora")
METHODS: dict[str, tuple[str, dict[str, object]]] = {
    "magnitude": ("magnitude", {}),
    "movement": ("movement", {}),
    "movement, global": ("movement", {"scope": "global"}),
    "soft_movement": ("soft_movement", {}),
    "pst": ("pst", {}),
    "lora_magnitude": ("lora_magnitude", {}),
}
"""Label -> name and settings."""

AT_MOST: dict[str, dict[str, float]] = {"pst": {"full": 1.6}, "movement": {"full": 1.6}}
"""Label -> reference -> the most that a step may cost, in steps of the reference."""


def step_of(name: str, settings: dict[str, object], *, device: torch.device) -> Step:
    """Returns a function that makes one training step and returns the seconds of its parts."""
    source = model_source("random:bert-base")
    backbone = load_backbone(source, form=Form.CLASSIFICATION, labels=("no", "yes"))
    method = configure(name, settings)
    model = method.prepare(backbone).to(device).train()
    method.begin_stage(model, method.stages()[-1])
    with torch.no_grad():  # as after some training: no two scores are equal
        for parameter in filter(lambda p: p.requires_grad, model.parameters()):
            parameter.add_(torch.randn_like(parameter), alpha=1e-3)
    optimizer = torch.optim.AdamW(
        method.parameter_groups(model),
        lr=method.config.learning_rate,
        weight_decay=method.config.weight_decay,
    )
    ids = torch.randint(1000, 30000, (8, 128), device=device)
    labels = torch.arange(8, device=device) % 2

    def clock() -> float:
        if device.type == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def step() -> list[float]:
        times = [clock()]
        method.before_step(model, PROGRESS)
        times.append(clock())
        loss = model(input_ids=ids, labels=labels).loss
        penalty = method.penalty(model)
        loss = loss if penalty is None else loss + penalty
        times.append(clock())
        loss.backward()
        times.append(clock())
        optimizer.step()
        optimizer.zero_grad()
        times.append(clock())
        return [after - before for before, after in pairwise(times)]

    return step


@pytest.fixture(scope="module")
def device() -> torch.device:
    torch.set_num_threads(1)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture(scope="module")
def references(device: torch.device) -> dict[str, Step]:
    torch.manual_seed(0)
    return {label: step_of(label, {}, device=device) for label in REFERENCES}


def ratio(rounds: list[dict[str, list[float]]], label: str, reference: str) -> float:
    """Returns the median over the rounds of the ratio of two methods' steps."""
    return median(sum(times[label]) / sum(times[reference]) for times in rounds)


@pytest.mark.parametrize("label", METHODS)
def test_training_step(
    label: str,
    references: dict[str, Step],
    device: torch.device,
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = {**references, label: step_of(*METHODS[label], device=device)}
    for step in steps.values():
        step()
    rounds = [{name: step() for name, step in steps.items()} for _ in range(ROUNDS)]
    by_part = [median(times[label][part] for times in rounds) for part in range(len(PARTS))]
    shares = ", ".join(
        f"{name} {part / sum(by_part):.0%}" for name, part in zip(PARTS, by_part, strict=True)
    )
    ratios = {name: ratio(rounds, label, name) for name in REFERENCES}
    with capsys.disabled():
        times = ", ".join(f"{value:.2f} x {name}" for name, value in ratios.items())
        print(f"\n{label}: {times} ({shares})")
    for name, limit in AT_MOST.get(label, {}).items():
        assert ratios[name] <= limit
