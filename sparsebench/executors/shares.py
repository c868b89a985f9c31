"""How the cores and the GPUs of a machine are shared out among the runs of one command."""

from __future__ import annotations

import os
import sys

from sparsebench.executors.worker import Share


def shares(workers: int, device: str) -> list[Share]:
    """Returns what each of so many runs at a time gets.

    Each has a GPU of its own where there are enough, and its part of the cores. Where there are
    several runs and enough cores, each stays on its own.

    Args:
        workers: Runs at a time.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    """
    each = max(1, threads() // workers)
    gpus = _gpus() if device in ("auto", "cuda") and workers > 1 else []
    cores = _cores()
    pinned = workers > 1 and each * workers <= len(cores)
    return [
        Share(
            threads=each,
            device=f"cuda:{gpus[place % len(gpus)]}" if gpus else device,
            cores=tuple(cores[place * each : (place + 1) * each]) if pinned else (),
        )
        for place in range(workers)
    ]


def threads() -> int:
    """Returns how many threads may compute: one for each core, or what OMP_NUM_THREADS says."""
    cores = len(_cores()) or os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(asked)) if asked.isdecimal() and int(asked) else cores


def _cores() -> list[int]:
    """Returns the cores that this process may use; none where they cannot be told apart."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []


def _gpus() -> list[str]:
    """Returns the GPUs that may be used, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip()]
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]
