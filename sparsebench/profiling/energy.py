"""Read the energy counter and the processes of an NVIDIA device through NVML.

NVML's Python binding, ``nvidia-ml-py``, is optional. Without it, or without a device that counts,
the figure is missing with a reason.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from time import perf_counter  # bound here: code of a plugin that replaces it has no effect
from typing import TYPE_CHECKING, Any

import torch

from sparsebench.errors import UserError
from sparsebench.results.costs import Energy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Forward = Callable[[], object]

_SECONDS = 2.0
"""The counter is updated about ten times a second, so that this keeps its error under 5 %."""


class NoEnergyError(UserError):
    """The device has no energy counter that can be read; the message says why."""


def measure_energy(
    forward: Forward, *, device: torch.device, reference: Forward | None = None
) -> Energy:
    """Measure the energy of a forward pass.

    Args:
        forward: One forward pass of the model.
        device: The device that it runs on.
        reference: One forward pass of the untouched backbone.

    Raises:
        NoEnergyError: The device has no counter that can be read.
    """
    nvml, handle = _handle(device)

    def joules(call: Forward) -> tuple[float, int]:
        torch.cuda.synchronize(device)
        start, before = perf_counter(), _counter(nvml, handle)
        passes = 0
        while perf_counter() - start < _SECONDS:
            call()
            passes += 1
            torch.cuda.synchronize(device)
        return (_counter(nvml, handle) - before) / 1000 / passes, passes

    own, passes = joules(forward)
    other = None if reference is None else joules(reference)[0]
    return Energy(joules=own, reference=other, passes=passes)


def other_processes(device: torch.device) -> tuple[str, ...]:
    """Return the other processes that compute on a device, by NVML; none where it is missing."""
    try:
        nvml, handle = _handle(device)
        return tuple(_named(nvml, handle))
    except NoEnergyError:
        return ()


def _named(nvml: Any, handle: Any) -> Iterator[str]:
    try:
        running = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except nvml.NVMLError:
        return
    for process in running:
        if process.pid != os.getpid():
            used = f", {process.usedGpuMemory // 2**20} MiB" if process.usedGpuMemory else ""
            yield f"process {process.pid}{used}"


def _handle(device: torch.device) -> tuple[Any, Any]:
    if device.type != "cuda":
        raise NoEnergyError(f"a {device.type} device has no energy counter that can be read")
    if find_spec("pynvml") is None:
        raise NoEnergyError("nvidia-ml-py is not installed: pip install 'sparsebench[energy]'")
    import pynvml

    try:
        pynvml.nvmlInit()
        uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        return pynvml, pynvml.nvmlDeviceGetHandleByUUID(uuid)
    except (pynvml.NVMLError, AttributeError) as error:
        raise NoEnergyError(f"NVML failed: {error}") from None


def _counter(nvml: Any, handle: Any) -> int:
    """Return the millijoules drawn since the driver was loaded."""
    try:
        return int(nvml.nvmlDeviceGetTotalEnergyConsumption(handle))
    except nvml.NVMLError as error:
        raise NoEnergyError(f"the device does not count its energy: {error}") from None
