"""Runs of one shape share their latency and memory; what depends on the weights stays their own."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from executor_jobs import make_jobs
from factories import make_costs

from sparsebench.execution import shared_costs
from sparsebench.execution.run import run
from sparsebench.execution.shared_costs import (
    MEASUREMENTS,
    CostShare,
    SharedCosts,
    cost_conditions,
    share_costs,
)
from sparsebench.results.costs import MemoryKind, MemoryPeak
from sparsebench.results.store import COSTS

if TYPE_CHECKING:
    from pathlib import Path

    from sparsebench.execution.job import Job
    from sparsebench.results.costs import Costs

CPU = torch.device("cpu")


def costs_of(job: Job) -> Costs:
    outcome = run(job, lambda _: None)
    assert outcome is not None
    costs: Costs | None = outcome.result.costs
    assert costs is not None, outcome.result.reason
    return costs


def complete(*samples: float) -> Costs:
    """Costs with these seconds per forward pass, and with the memory of activations."""
    costs = make_costs()
    assert costs.latency is not None
    assert costs.memory is not None
    peak = MemoryPeak(kind=MemoryKind.RESIDENT, bytes=1)
    latency = costs.latency.model_copy(update={"samples": samples})
    memory = costs.memory.model_copy(update={"activations": peak})
    return costs.model_copy(update={"latency": latency, "memory": memory})


STEADY, NOISY, NOISIER = (1.0, 1.0, 1.0, 1.0), (1.0, 1.0, 2.0, 2.0), (1.0, 1.0, 9.0, 9.0)


@pytest.fixture
def every_latency_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_costs, "MEASUREMENTS", 1)


@pytest.mark.usefixtures("every_latency_is_final")
def test_a_second_seed_reuses_latency_and_memory_and_measures_the_rest(tmp_path: Path) -> None:
    first, second = make_jobs(tmp_path, "full", seeds=(1, 2))
    measured, reused = costs_of(first), costs_of(second)
    assert measured.reused_from is None
    assert reused.reused_from == first.key
    assert reused.latency == measured.latency
    assert reused.runtimes == measured.runtimes
    assert reused.memory is not None
    assert measured.memory is not None
    assert reused.memory.activations == measured.memory.activations
    assert reused.density is not None
    assert reused.density != measured.density
    assert not reused.missing


@pytest.mark.usefixtures("every_latency_is_final")
def test_a_run_that_replaces_a_result_measures_again(tmp_path: Path) -> None:
    (job,) = make_jobs(tmp_path, "full")
    costs_of(job)
    assert costs_of(replace(job, replaces="a stamp")).reused_from is None


def test_conditions_differ_by_all_that_latency_depends_on(tmp_path: Path) -> None:
    full, other = make_jobs(tmp_path, "full", "bitfit")
    model = torch.nn.Linear(10, 10)
    base = cost_conditions(full, model, CPU)
    later = make_jobs(tmp_path, "full", seeds=(2,))[0]
    assert cost_conditions(later, torch.nn.Linear(10, 10), CPU) == base
    assert cost_conditions(other, model, CPU) != base
    assert cost_conditions(full, torch.nn.Linear(10, 9), CPU) != base
    assert cost_conditions(full, torch.nn.Linear(10, 10).half(), CPU) != base
    longer = replace(full, costs=full.costs.model_copy(update={"length": 9}))
    assert cost_conditions(longer, model, CPU) != base
    with torch.no_grad():
        model.weight[:5] = 0
    assert cost_conditions(full, model, CPU) != base


def test_a_noisy_latency_is_measured_again_and_the_least_noisy_one_is_kept(tmp_path: Path) -> None:
    file, share = tmp_path / "record.json", CostShare(tmp_path / "record.json", None)
    for number, samples in enumerate([NOISIER, NOISY, NOISIER]):
        assert share.found is None
        assert share.recorded(complete(*samples), key=f"run {number}").reused_from is None
        share = CostShare(file, shared_costs._read(file))
    assert share.found is not None
    assert share.found.measurements == MEASUREMENTS
    assert share.recorded(complete(*STEADY), key="run 4").reused_from == "run 1"


def test_a_steady_latency_is_reused_at_once(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    CostShare(file, None).recorded(complete(*STEADY), key="first")
    assert CostShare(file, shared_costs._read(file)).found is not None


def test_costs_without_latency_are_not_shared(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    costs = complete(*STEADY).model_copy(update={"latency": None})
    assert CostShare(file, None).recorded(costs, key="first") == costs
    assert not file.exists()


@pytest.mark.parametrize("content", ["", "{", '{"key": 1}', "[" * 1000])
def test_a_broken_record_is_measured_again(tmp_path: Path, content: str) -> None:
    (job,) = make_jobs(tmp_path, "full")
    model = torch.nn.Linear(2, 2)
    with share_costs(job, model, CPU) as share:
        share.recorded(complete(*STEADY), key="first")
    (file,) = (tmp_path / COSTS).glob("*.json")
    file.write_text(content)
    with share_costs(job, model, CPU) as share:
        assert share.found is None
        share.recorded(complete(*STEADY), key="second")
    record = shared_costs._read(file)
    assert isinstance(record, SharedCosts)
    assert record.key == "second"


def test_a_run_waits_for_the_record_of_the_one_that_measures(tmp_path: Path) -> None:
    (job,) = make_jobs(tmp_path, "full")
    model = torch.nn.Linear(2, 2)
    found: list[SharedCosts | None] = []

    def wait() -> None:
        with share_costs(job, model, CPU) as share:
            found.append(share.found)

    other = threading.Thread(target=wait)
    with share_costs(job, model, CPU) as share:
        other.start()
        other.join(0.5)
        assert other.is_alive()
        share.recorded(complete(*STEADY), key="first")
    other.join(30)
    assert [record and record.key for record in found] == ["first"]


def test_a_run_that_waited_too_long_measures_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_costs, "PATIENCE", 0.1)
    (job,) = make_jobs(tmp_path, "full")
    model = torch.nn.Linear(2, 2)
    with share_costs(job, model, CPU), share_costs(job, model, CPU) as second:
        assert second.found is None
