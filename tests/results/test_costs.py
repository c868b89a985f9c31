"""Figures derived from measured costs, and storing records without loss."""

from __future__ import annotations

import pytest
from factories import make_costs
from pydantic import ValidationError

from sparsebench.results.costs import (
    Costs,
    Flops,
    FlopStatus,
    Latency,
    Memory,
    MemoryKind,
    MemoryPeak,
    Parameters,
)
from sparsebench.results.records import TrainingRecord

SHAPES = {"input_ids": (1, 8)}


def counted(**changed: object) -> Flops:
    return Flops(**{"matrix": 1000, "elementwise": 5, "shapes": SHAPES, **changed})


def timed(*samples: float) -> Latency:
    return Latency(samples=samples, clock="monotonic", threads=1, shapes=SHAPES)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"closed_form": 1000}, None),
        ({"closed_form": 1009}, None),
        ({"closed_form": 1011}, "1.1% away from the closed form"),
        ({"closed_form": 989}, "1.1% away from the closed form"),
        ({}, "no closed form for this architecture"),
        ({"closed_form": 1000, "uncounted": ("aten::x",)}, "not counted: aten::x"),
    ],
)
def test_a_count_is_verified_only_if_all_agrees(changed: dict, reason: str | None) -> None:
    flops = counted(**changed)
    assert flops.reason == reason
    assert flops.status is (FlopStatus.UNVERIFIED if reason else FlopStatus.VERIFIED)


def test_quantiles_of_latency() -> None:
    record = timed(*(float(sample) for sample in range(1, 102)))
    assert (record.median, record.p95, record.iqr) == (51, 96, 50)
    assert record.noisy
    assert not timed(1.0, 1.01, 1.02, 0.99).noisy


def test_a_single_sample_has_quantiles_too() -> None:
    assert (timed(2.0).p95, timed(2.0).iqr) == (2.0, 0)


def test_a_fresh_process_knows_inference_better() -> None:
    peak = MemoryPeak(kind=MemoryKind.RESIDENT, bytes=10)
    loaded = Memory(weights=100, activations=peak, shapes=SHAPES)
    fresh = MemoryPeak(kind=MemoryKind.RESIDENT, bytes=170)
    assert loaded.inference == 110
    assert loaded.model_copy(update={"fresh": fresh}).inference == 170


def test_an_empty_model_is_not_sparse() -> None:
    assert Parameters(head=0, total=0, nonzero=0).sparsity == 0


def test_costs_survive_being_written() -> None:
    costs = make_costs(noisy=True)
    assert Costs.model_validate_json(costs.model_dump_json()) == costs


def test_a_record_is_strict_and_does_not_change() -> None:
    with pytest.raises(ValidationError):
        counted(matrixes=3)
    with pytest.raises(ValidationError):
        counted().matrix = 4


@pytest.mark.parametrize("seconds", [-1.0, 1e12, float("nan"), float("inf")])
def test_a_time_that_no_clock_can_have_measured_is_refused(seconds: float) -> None:
    with pytest.raises(ValidationError, match="samples"):
        timed(seconds)
    with pytest.raises(ValidationError, match="seconds"):
        TrainingRecord(steps=1, seconds=seconds, examples_per_second=1.0, loss=())
