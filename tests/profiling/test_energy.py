"""Energy and other processes are read through NVML; without it they are missing with a reason."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sparsebench.profiling import energy as module
from sparsebench.profiling.energy import NoEnergyError, measure_energy, other_processes

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")


def test_a_cpu_has_no_counter() -> None:
    with pytest.raises(NoEnergyError, match="cpu device has no energy counter"):
        measure_energy(lambda: None, device=CPU)
    assert other_processes(CPU) == ()


def test_without_the_binding_the_reason_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(NoEnergyError, match=r"pip install 'sparsebench\[energy\]'"):
        measure_energy(lambda: None, device=CUDA)
    assert other_processes(CUDA) == ()


class NVMLError(Exception):
    pass


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An NVML that counts a joule a pass."""
    passes = SimpleNamespace(count=0)
    fake = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetTotalEnergyConsumption=lambda _: 1000 * passes.count,
        nvmlDeviceGetComputeRunningProcesses=lambda _: [
            SimpleNamespace(pid=os.getpid(), usedGpuMemory=1),
            SimpleNamespace(pid=12, usedGpuMemory=2**22),
        ],
        passes=passes,
    )
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.setattr(module, "find_spec", lambda _: True)
    monkeypatch.setattr(module, "_SECONDS", 0.01)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="a-b"))
    return fake


def test_the_counter_is_shared_out_to_the_passes(nvml: Any) -> None:
    def forward() -> None:
        nvml.passes.count += 1

    found = measure_energy(forward, device=CUDA, reference=forward)
    assert found.joules == found.reference == 1
    assert found.passes > 1


def test_other_processes_are_named(nvml: Any) -> None:
    assert other_processes(CUDA) == ("process 12, 4 MiB",)


def test_a_device_that_does_not_count_says_so(nvml: Any) -> None:
    def refuse(_: object) -> None:
        raise NVMLError("Not Supported")

    nvml.nvmlDeviceGetTotalEnergyConsumption = refuse
    with pytest.raises(NoEnergyError, match="does not count its energy: Not Supported"):
        measure_energy(lambda: None, device=CUDA)
