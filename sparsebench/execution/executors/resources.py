"""How the cores and the GPUs of a machine are shared out among the runs of one command."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from sparsebench.errors import UserError
from sparsebench.execution.executors.worker import Resources

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sparsebench.execution.job import Job


def divide_machine(workers: int, device: str, *, processes: int = 1) -> list[tuple[Resources, ...]]:
    """Returns what each of so many runs at a time gets, for each of its processes.

    Each process has a GPU of its own where there are enough, and its part of the cores. Where there
    are several runs and enough cores, each process stays on its own.

    Args:
        workers: Runs at a time.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        processes: Processes of a run.
    """
    count = workers * processes
    each = max(1, threads() // count)
    gpus = visible_gpus() if device in ("auto", "cuda") and count > 1 else []
    cores = _cores()
    pinned = workers > 1 and each * count <= len(cores)
    parts = [
        Resources(
            threads=each,
            device=f"cuda:{gpus[place % len(gpus)]}" if gpus else device,
            cores=tuple(cores[place * each : (place + 1) * each]) if pinned else (),
        )
        for place in range(count)
    ]
    return [tuple(parts[first : first + processes]) for first in range(0, count, processes)]


def check_gpus(gpus: int, device: str) -> None:
    """Refuses runs of more GPUs than there are here.

    Raises:
        UserError: There are fewer, or the device is another.
    """
    if device not in ("auto", "cuda"):
        raise UserError(f"--device {device} leaves no choice of GPUs: leave out -x gpus={gpus}")
    if gpus > (there := len(visible_gpus())):
        raise UserError(
            f"a run is to have {gpus} GPUs, and this machine has {there}: -x processes={gpus} "
            "--device cpu trains on as many processes of a CPU"
        )


def check_device(device: str) -> None:
    """Refuses a GPU that is not here: a run would else be made on the CPU, and nobody know it.

    Raises:
        UserError: It is not.
    """
    kind, _, name = device.partition(":")
    if kind != "cuda":
        return
    import torch

    here = visible_gpus() if torch.cuda.is_available() else []
    if not here or (name and name not in here):
        found = f"the GPUs {', '.join(here)}" if here else "no GPU"
        raise UserError(f"--device {device}: torch finds {found} on this machine")


def check_batches(jobs: Iterable[Job], devices: int) -> None:
    """Refuses runs whose batches cannot be shared out among devices.

    Raises:
        UserError: There is one.
    """
    for job in jobs:
        try:
            job.training.micro_batch(devices)
        except ValueError as error:
            raise UserError(f"{job.spec.title}: {error}") from None


def threads() -> int:
    """Returns how many threads may compute: one for each core, or what OMP_NUM_THREADS says."""
    cores = len(_cores()) or os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(asked)) if asked.isdecimal() and int(asked) else cores


def _cores() -> list[int]:
    """Returns the cores that this process may use; none where they cannot be told apart."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []


def visible_gpus() -> list[str]:
    """Returns the GPUs that may be used, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip()]
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]
