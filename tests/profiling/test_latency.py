"""Rounds are fair, samples are kept, and the interval of the ratio means what it says."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from tiny_models import tiny_backbone

from sparsebench.profiling import QUICK, TimingBudget, dummy_inputs
from sparsebench.profiling.inference import inference
from sparsebench.profiling.latency import latencies, latency
from sparsebench.results.latency import Latency, ratio_interval

if TYPE_CHECKING:
    from collections.abc import Callable

CPU = torch.device("cpu")
SHAPES = {"input_ids": (1, 8)}


def test_model_and_reference_take_turns_at_being_first() -> None:
    calls: list[str] = []
    record = latency(
        lambda: calls.append("model"),
        reference=lambda: calls.append("reference"),
        device=CPU,
        shapes=SHAPES,
        timing=TimingBudget(warmup=1, rounds=4, seconds=0),
    )
    there, back = ["model", "reference"], ["reference", "model"]
    assert calls == there + there + back + there + back
    assert len(record.samples) == len(record.reference_samples) == 4
    assert record.interval is not None
    assert record.interval[0] <= record.ratio <= record.interval[1]


def test_without_a_reference_there_is_no_ratio() -> None:
    record = latency(
        lambda: None, device=CPU, shapes=SHAPES, timing=TimingBudget(warmup=0, rounds=3, seconds=0)
    )
    assert (record.ratio, record.interval, record.reference_samples) == (None, None, ())
    assert record.threads == torch.get_num_threads()
    assert record.clock == "monotonic"


def test_the_limit_ends_rounds_that_take_too_long() -> None:
    calls: list[int] = []
    timing = TimingBudget(warmup=0, rounds=1000, seconds=0, limit=0)
    latency(lambda: calls.append(1), device=CPU, shapes=SHAPES, timing=timing)
    assert len(calls) == 3


def test_a_failing_forward_pass_says_so() -> None:
    with pytest.raises(ZeroDivisionError):
        latency(lambda: 1 / 0, device=CPU, shapes=SHAPES, timing=QUICK)


def test_a_model_is_about_as_fast_as_itself() -> None:
    model = tiny_backbone("bert").model
    inputs = dummy_inputs(model.config, length=8)
    with inference(model):
        record = latency(
            lambda: model(**inputs),
            reference=lambda: model(**inputs),
            device=CPU,
            shapes=SHAPES,
            timing=TimingBudget(warmup=5, rounds=60, seconds=0),
        )
    assert 0.2 < record.ratio < 5


SIX = (10,) * 6


def alike(rounds: int, *, noise: np.random.Generator, memory: float) -> np.ndarray:
    """Returns noise of which neighbours are alike: each keeps a share of the one before."""
    steps = noise.normal(size=rounds)
    for turn in range(1, rounds):
        steps[turn] = memory * steps[turn - 1] + (1 - memory**2) ** 0.5 * steps[turn]
    return steps


@pytest.mark.parametrize("memory", [0.0, 0.5])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(memory: float) -> None:
    truth, held = 0.7, 0
    for seed in range(300):
        noise = alike(60, noise=np.random.default_rng(seed), memory=memory)
        low, high = ratio_interval((truth * np.exp(0.1 * noise)).tolist(), SIX)
        held += low <= truth <= high
    assert 0.9 * 300 <= held <= 0.99 * 300


def test_the_interval_holds_the_truth_where_each_block_is_off_in_its_own_way() -> None:
    truth, held = 1.0, 0
    for seed in range(300):
        noise = np.random.default_rng(seed)
        off = np.repeat(noise.normal(scale=0.02, size=6), 10)
        low, high = ratio_interval(np.exp(off + noise.normal(scale=0.02, size=60)).tolist(), SIX)
        held += low <= truth <= high
    assert held >= 0.9 * 300


def test_the_interval_narrows_with_more_rounds() -> None:
    rounds = np.random.default_rng(0).normal(1, 0.1, size=600).tolist()
    few, many = ratio_interval(rounds[:24], (4,) * 6), ratio_interval(rounds, (100,) * 6)
    assert many[1] - many[0] < few[1] - few[0]


def test_rounds_are_made_in_blocks_and_weights_move_between_them() -> None:
    moved: list[int] = []
    record = latency(
        lambda: None,
        reference=lambda: None,
        device=CPU,
        shapes=SHAPES,
        timing=TimingBudget(warmup=0, rounds=24, seconds=0),
        between_blocks=lambda: moved.append(1),
    )
    assert record.blocks == (4,) * 6
    assert len(moved) == 6


def test_several_models_share_the_reference_of_their_rounds() -> None:
    records = latencies(
        {"a": lambda: None, "b": lambda: None},
        reference=lambda: None,
        device=CPU,
        shapes=SHAPES,
        timing=TimingBudget(warmup=0, rounds=6, seconds=0),
    )
    assert list(records) == ["a", "b"]
    assert records["a"].reference_samples == records["b"].reference_samples
    assert records["a"].samples != records["b"].samples


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


@pytest.mark.parametrize("blocks", [(), (1,)])
def test_a_single_block_has_no_interval(blocks: tuple[int, ...]) -> None:
    assert ratio_interval([1.0], blocks) is None


@pytest.mark.parametrize("clock", [lambda: 0.0, iter(range(0, -10_000, -1)).__next__])
def test_a_plugin_that_replaces_the_clock_changes_no_time(
    clock: Callable[[], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("time", "perf_counter", "monotonic"):
        monkeypatch.setattr(time, name, clock)
    timing = TimingBudget(warmup=0, rounds=3, seconds=0.01, limit=1)
    record = latency(lambda: sum(range(1000)), device=CPU, shapes=SHAPES, timing=timing)
    assert all(0 < seconds < 1 for seconds in record.samples)
