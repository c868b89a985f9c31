"""Measure the peak of memory.

On a CUDA device the statistics of the allocator are exact. On a CPU the growth of the process's
resident set is measured, without library code that is loaded for the first time. Linux records that
peak and allows to reset it; elsewhere a thread samples the resident set every few milliseconds and
may miss a short peak.
"""

from __future__ import annotations

import ctypes
import gc
import re
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import torch

from sparsebench.profiling.inference import inference, runnable_device
from sparsebench.results.costs import MemoryKind, MemoryPeak

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
_SECONDS_BETWEEN_SAMPLES = 0.005


class MemoryTracker:
    """The peak of memory above what was in use when the tracker was created.

    ``track`` may be entered several times, one after the other: ``peak`` is the highest of all.

    Args:
        device: The device that the tracked work runs on.
    """

    def __init__(self, device: torch.device | str) -> None:
        self._device = torch.device(device)
        self._library_code = 0 if self._on_cuda else _library_code()
        release_freed_memory()
        self._baseline = self._highest = self._in_use()

    @property
    def peak(self) -> MemoryPeak:
        """Growth to the highest peak so far; 0 before the first ``track``."""
        kind = MemoryKind.ALLOCATOR if self._on_cuda else MemoryKind.RESIDENT
        return MemoryPeak(kind=kind, bytes=self._highest - self._baseline)

    @contextmanager
    def track(self) -> Iterator[None]:
        """Record the peak of the code inside, also if it raises."""
        watch = _cuda_peak(self._device) if self._on_cuda else _resident_peak()
        with watch as peak:
            try:
                yield
            finally:
                highest = peak()
                if not self._on_cuda:
                    highest -= max(0, _library_code() - self._library_code)
                self._highest = max(highest, self._highest)

    @property
    def _on_cuda(self) -> bool:
        return self._device.type == "cuda"

    def _in_use(self) -> int:
        if self._on_cuda:
            return torch.cuda.memory_allocated(self._device)
        return psutil.Process().memory_info().rss


def activation_peak(model: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> MemoryPeak:
    """Measure the growth of memory during one forward pass of a loaded model."""
    device = runnable_device(model)
    with inference(model):
        model(**inputs)  # loads the weights and what the libraries keep
        tracker = MemoryTracker(device)
        with tracker.track():
            model(**inputs)
    return tracker.peak


def weight_bytes(model: torch.nn.Module) -> int:
    """Return the bytes of a model's parameters and buffers, shared ones once."""
    return sum(map(_bytes, [*model.parameters(), *model.buffers()]))


def release_freed_memory() -> None:
    """Return freed memory to the system, so that what is used next counts as growth."""
    gc.collect()
    with suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def _bytes(tensor: torch.Tensor) -> int:
    """Return the bytes of a tensor; for a sparse one, those of its values and indices."""
    parts = {
        torch.sparse_csr: ("values", "crow_indices", "col_indices"),
        torch.sparse_csc: ("values", "ccol_indices", "row_indices"),
        torch.sparse_coo: ("_values", "_indices"),
    }
    names = parts.get(tensor.layout)
    stored = [getattr(tensor, name)() for name in names] if names else [tensor]
    return sum(part.numel() * part.element_size() for part in stored)


@contextmanager
def _cuda_peak(device: torch.device) -> Iterator[Callable[[], int]]:
    torch.cuda.reset_peak_memory_stats(device)
    yield lambda: torch.cuda.max_memory_allocated(device)


@contextmanager
def _resident_peak() -> Iterator[Callable[[], int]]:
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError:
        with _watched_peak() as peak:
            yield peak
    else:
        yield _kernel_peak


def _kernel_peak() -> int:
    kibibytes = re.findall(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())
    return int(kibibytes[0]) * 1024


@contextmanager
def _watched_peak() -> Iterator[Callable[[], int]]:
    process = psutil.Process()
    samples = [process.memory_info().rss]
    done = threading.Event()

    def sample() -> None:
        while not done.wait(_SECONDS_BETWEEN_SAMPLES):
            samples[0] = max(samples[0], process.memory_info().rss)

    watcher = threading.Thread(target=sample, daemon=True)
    watcher.start()
    try:
        yield lambda: max(samples[0], process.memory_info().rss)
    finally:
        done.set()
        watcher.join()


def _library_code() -> int:
    """Return the resident bytes of shared libraries; 0 where the system does not report them."""
    maps = getattr(psutil.Process(), "memory_maps", None)
    return sum(part.rss for part in maps() if ".so" in part.path) if maps else 0
