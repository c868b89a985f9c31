"""The cost of a training step under each method, beside full fine-tuning and plain LoRA.

    pytest benchmarks/test_training_step.py

The steps of a method and of its references are interleaved, and ratios are taken within a round.
On a CPU they are ratios of CPU seconds in a single thread, which other work hardly changes.
Each memory peak is measured in a process of its own.
"""

from __future__ import annotations

import time
from functools import cache
from statistics import median
from typing import TYPE_CHECKING

import pytest
import torch
from tabulate import tabulate
from training_steps import CASES, REFERENCES, TrainingStep, peak_memory

from sparsebench.results.provenance import describe_device

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_benchmark.fixture import BenchmarkFixture

    Table = dict[str, dict[str, str]]

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
CLOCK = time.perf_counter if DEVICE.type == "cuda" else time.process_time
WARMUP, ROUNDS = (5, 50) if DEVICE.type == "cuda" else (1, 3)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def table(pytestconfig: pytest.Config) -> Iterator[Table]:
    """Collect the measurements, and print them at the end."""
    rows: Table = {}
    yield rows
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():  # type: ignore[union-attr]
        cells = [{"a step of": label, **row} for label, row in rows.items()]
        table = tabulate(cells, headers="keys", tablefmt="pipe")
        print(f"\n\n{describe_device(DEVICE).name}\n\n{table}")


@cache
def reference(label: str) -> TrainingStep:
    return TrainingStep(CASES[label], device=DEVICE)


@pytest.mark.benchmark(timer=CLOCK, disable_gc=True)
@pytest.mark.parametrize("label", CASES)
def test_time(label: str, benchmark: BenchmarkFixture, table: Table) -> None:
    case = CASES[label]
    others = {other: reference(other) for other in dict.fromkeys((*REFERENCES, *case.time))}
    rounds: list[dict[str, float]] = []

    def run_the_others() -> None:
        rounds.append({other: seconds(step) for other, step in others.items()})

    step = TrainingStep(case, device=DEVICE)
    benchmark.pedantic(step, setup=run_the_others, rounds=ROUNDS, warmup_rounds=WARMUP)
    own = benchmark.stats.stats.data  # type: ignore[union-attr]
    pairs = list(zip(own, rounds[WARMUP:], strict=True))
    ratios = {other: median(time / beside[other] for time, beside in pairs) for other in others}
    benchmark.extra_info.update(ratios)
    row = table.setdefault(label, {})
    row |= {f"time / {other}": f"{ratios[other]:.2f}" for other in REFERENCES}
    for other, limit in case.time.items():
        assert ratios[other] <= limit


def seconds(step: TrainingStep) -> float:
    began = CLOCK()
    step()
    return CLOCK() - began


@pytest.mark.parametrize("label", CASES)
def test_memory(label: str, table: Table) -> None:
    own, row = peak(label), table.setdefault(label, {})
    row |= {f"memory / {other}": f"{own / peak(other):.2f}" for other in REFERENCES}
    for other, limit in CASES[label].memory.items():
        assert own / peak(other) <= limit


@cache
def peak(label: str) -> int:
    return peak_memory(label, device=DEVICE)
