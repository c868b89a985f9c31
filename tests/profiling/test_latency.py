"""Rounds are fair, samples are kept, and the interval of the ratio means what it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_models import tiny_backbone

from sparsebench.profiling import QUICK, Effort, dummy_inputs
from sparsebench.profiling.inference import inference
from sparsebench.profiling.latency import latency, ratio_interval
from sparsebench.results.costs import Latency

CPU = torch.device("cpu")
SHAPES = {"input_ids": (1, 8)}


def test_model_and_reference_take_turns_at_being_first() -> None:
    calls: list[str] = []
    record = latency(
        lambda: calls.append("model"),
        reference=lambda: calls.append("reference"),
        device=CPU,
        shapes=SHAPES,
        effort=Effort(warmup=1, rounds=4, seconds=0),
    )
    there, back = ["model", "reference"], ["reference", "model"]
    assert calls == there + there + back + there + back
    assert len(record.samples) == len(record.reference_samples) == 4
    assert record.interval is not None
    assert record.interval[0] <= record.ratio <= record.interval[1]


def test_without_a_reference_there_is_no_ratio() -> None:
    record = latency(
        lambda: None, device=CPU, shapes=SHAPES, effort=Effort(warmup=0, rounds=3, seconds=0)
    )
    assert (record.ratio, record.interval, record.reference_samples) == (None, None, ())
    assert record.threads == torch.get_num_threads()
    assert record.clock == "monotonic"


def test_the_limit_ends_rounds_that_take_too_long() -> None:
    calls: list[int] = []
    effort = Effort(warmup=0, rounds=1000, seconds=0, limit=0)
    latency(lambda: calls.append(1), device=CPU, shapes=SHAPES, effort=effort)
    assert len(calls) == 3


def test_a_failing_forward_pass_says_so() -> None:
    with pytest.raises(ZeroDivisionError):
        latency(lambda: 1 / 0, device=CPU, shapes=SHAPES, effort=QUICK)


def test_a_model_is_about_as_fast_as_itself() -> None:
    model = tiny_backbone("bert").model
    inputs = dummy_inputs(model.config, length=8)
    with inference(model):
        record = latency(
            lambda: model(**inputs),
            reference=lambda: model(**inputs),
            device=CPU,
            shapes=SHAPES,
            effort=Effort(warmup=5, rounds=60, seconds=0),
        )
    assert 0.5 < record.ratio < 2


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    truth, held = 0.7, 0
    for seed in range(200):
        noise = np.random.default_rng(seed)
        rounds = truth * np.exp(noise.normal(scale=0.1, size=40))
        low, high = ratio_interval(rounds.tolist())
        held += low <= truth <= high
    assert held >= 180


def test_the_interval_narrows_with_more_rounds_and_is_reproducible() -> None:
    rounds = np.random.default_rng(0).normal(1, 0.1, size=400).tolist()
    few, many = ratio_interval(rounds[:20]), ratio_interval(rounds)
    assert many[1] - many[0] < few[1] - few[0]
    assert ratio_interval(rounds) == many


def test_the_ratio_forgives_a_machine_that_slows_down() -> None:
    slow_down = np.linspace(1, 5, 50)
    record = Latency(
        samples=tuple(2 * slow_down),
        reference_samples=tuple(slow_down),
        clock="monotonic",
        threads=1,
        shapes=SHAPES,
    )
    assert record.ratio == pytest.approx(2)
    assert record.noisy


@pytest.mark.parametrize("rounds", [[], [1.0]])
def test_too_few_rounds_have_no_interval(rounds: list[float]) -> None:
    assert ratio_interval(rounds) is None
