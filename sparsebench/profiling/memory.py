"""Measures how much memory something takes at its peak.

On a CUDA device the allocator knows exactly. On a CPU nobody does: what is measured is how far the
resident set of the process grows, library code that was touched for the first time left out. The
kernel keeps that peak where it lets us reset it (Linux); elsewhere a thread looks every few
milliseconds and may miss a short peak.
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

from sparsebench.results.costs import MemoryKind, MemoryPeak

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
_SECONDS_BETWEEN_LOOKS = 0.005


class MemoryTracker:
    """Tracks the peak from what was in use when the tracker was made.

    ``track`` may be entered several times, one after the other: ``peak`` is the highest of all.

    Args:
        device: Where the tracked work runs.
    """

    def __init__(self, device: torch.device | str) -> None:
        self._device = torch.device(device)
        self._library_code = 0 if self._on_cuda else _library_code()
        release_freed_memory()
        self._baseline = self._highest = self._in_use()

    @property
    def peak(self) -> MemoryPeak:
        """Growth to the highest peak so far; 0 before anything was tracked."""
        kind = MemoryKind.ALLOCATOR if self._on_cuda else MemoryKind.RESIDENT
        return MemoryPeak(kind=kind, bytes=self._highest - self._baseline)

    @contextmanager
    def track(self) -> Iterator[None]:
        """Records the peak of what runs inside, also where it raises."""
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


def weight_bytes(model: torch.nn.Module) -> int:
    """Returns the bytes of a model's parameters and buffers, shared ones once."""
    return sum(map(_bytes, [*model.parameters(), *model.buffers()]))


def release_freed_memory() -> None:
    """Hands freed memory back to the system, so that what is used next shows as growth."""
    gc.collect()
    with suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def _bytes(tensor: torch.Tensor) -> int:
    """Returns the bytes of a tensor, for a sparse one those of its values and indices."""
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
    looks = [process.memory_info().rss]
    done = threading.Event()

    def look() -> None:
        while not done.wait(_SECONDS_BETWEEN_LOOKS):
            looks[0] = max(looks[0], process.memory_info().rss)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield lambda: max(looks[0], process.memory_info().rss)
    finally:
        done.set()
        watcher.join()


def _library_code() -> int:
    """Returns the resident bytes of shared libraries; 0 where the system does not tell."""
    maps = getattr(psutil.Process(), "memory_maps", None)
    return sum(part.rss for part in maps() if ".so" in part.path) if maps else 0
