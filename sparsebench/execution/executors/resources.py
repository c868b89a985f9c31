"""The cores, GPUs and memory of a machine, and the part of them that each run gets."""

from __future__ import annotations

import os
import re
import resource
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sparsebench.errors import UserError
from sparsebench.execution.free_memory import free_memory
from sparsebench.models.sources import FolderSource, model_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sparsebench.execution.job import Job

MEMORY_OF_A_RUN = 2**29
"""The bytes of a run's process, apart from models and batches."""

MEMORY_OF_A_BACKBONE = 20
"""The most bytes in training for each byte of the backbone's files: weights, gradients, moments,
activations, and copies to compare with."""

_STATUS = Path("/proc/self/status")
_COUNTERS = Path("/proc/vmstat")
_PROCESSOR = Path("/proc/cpuinfo")
_DRIVERS = tuple(Path("/dev") / name for name in ("nvidiactl", "kfd", "dxg"))
_FAST_BF16 = {"avx512bw", "avx_ne_convert", "bf16"}


@dataclass(frozen=True)
class Resources:
    """The part of a machine that one process of a run gets.

    Attributes:
        threads: The number of threads that torch computes with.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        cores: The cores to stay on; none for all.
    """

    threads: int
    device: str
    cores: tuple[int, ...] = ()

    def use(self) -> None:
        """Restrict this process to them; call it before torch first asks for accelerators."""
        if self.device == "cpu":
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        elif self.device.startswith("cuda:"):
            os.environ["CUDA_VISIBLE_DEVICES"] = self.device.removeprefix("cuda:")
        else:
            visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
            os.environ["CUDA_VISIBLE_DEVICES"] = visible.partition(",")[0]
        if self.cores:
            os.sched_setaffinity(0, self.cores)
        import torch

        torch.set_num_threads(self.threads)


def divide_machine(workers: int, device: str, *, processes: int = 1) -> list[tuple[Resources, ...]]:
    """Divide this machine among runs; return the resources of each run, process by process.

    Each process has a GPU of its own if there are enough, and its part of the cores. If there are
    several runs and enough cores, each process stays on its own cores.

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


def default_workers(jobs: Sequence[Job], device: str) -> int:
    """Return how many runs to execute at a time: one a core of a CPU, if their memory has room.

    The memory of a run is estimated by the size of its backbone's files. With a GPU, or a backbone
    whose files are not known to be here, the answer is 1.
    """
    if device.startswith("cuda") or (device == "auto" and visible_gpus()):
        return 1
    sizes = [_size(model) for model in {job.model for job in jobs}]
    known = [size for size in sizes if size is not None]
    if not known or len(known) < len(sizes):
        return 1
    room = free_memory() // (MEMORY_OF_A_RUN + max(known) * MEMORY_OF_A_BACKBONE)
    return max(1, min(threads(), len(jobs), room))


def _size(model: str) -> int | None:
    """Return the bytes of the weights of a backbone in a folder, None for another one."""
    source = model_source(model)
    if not isinstance(source, FolderSource):
        return None
    return sum(file.stat().st_size for file in source.folder().glob("*.safetensors"))


def check_gpus(gpus: int, device: str) -> None:
    """Refuse runs on more GPUs than this machine has.

    Raises:
        UserError: There are fewer, or the device is another.
    """
    if device not in ("auto", "cuda"):
        raise UserError(f"--device {device} leaves no choice of GPUs: leave out -x gpus={gpus}")
    if gpus > (found := len(visible_gpus())):
        raise UserError(
            f"-x gpus={gpus}: this machine has {found} {'GPU' if found == 1 else 'GPUs'}; "
            f"-x processes={gpus} --device cpu trains on as many processes of a CPU"
        )


def lacks_bf16() -> bool:
    """Return whether torch has no fast bfloat16 product for this CPU; False where that is unknown.

    Its library oneDNN has them for AVX-512, for the AVX2 of the newest processors, and for Arm with
    the bf16 extension.
    """
    try:
        found = re.search(r"^(?:flags|Features)\s*:(.*)$", _PROCESSOR.read_text(), re.MULTILINE)
    except OSError:
        return False
    return found is not None and not _FAST_BF16 & set(found[1].split())


def check_device(device: str) -> None:
    """Refuse a GPU that this machine does not have, rather than run on the CPU unnoticed.

    Raises:
        UserError: There is no such GPU.
    """
    kind, _, name = device.partition(":")
    if kind != "cuda":
        return
    import torch

    found = visible_gpus() if torch.cuda.is_available() else []
    if not found or (name and name not in found):
        gpus = f"the GPUs {', '.join(found)}" if found else "no GPU"
        raise UserError(f"--device {device}: torch finds {gpus} on this machine")


def check_batches(jobs: Iterable[Job], devices: int) -> None:
    """Refuse runs whose batches cannot be divided among devices.

    Raises:
        UserError: There is one.
    """
    for job in jobs:
        try:
            job.training.micro_batch(devices)
        except ValueError as error:
            raise UserError(f"{job.spec.title}: {error}") from None


def threads() -> int:
    """Return the number of threads to compute with: one a core, or at most OMP_NUM_THREADS."""
    cores = len(_cores()) or os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(asked)) if asked.isdecimal() and int(asked) else cores


def visible_gpus() -> list[str]:
    """Return the GPUs that may be used, as CUDA_VISIBLE_DEVICES names them.

    Without a driver of GPUs, torch need not be imported for the answer.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip()]
    if sys.platform == "linux" and not any(driver.exists() for driver in _DRIVERS):
        return []
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]


def _cores() -> list[int]:
    """Return the cores that this process may use; none where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []


def check_memory_limit(limit: int | None) -> None:
    """Refuse a memory limit on a system that does not enforce it.

    Raises:
        UserError: There is a limit, and this is not Linux.
    """
    if limit is not None and sys.platform != "linux":
        raise UserError("a memory limit holds on Linux only: leave out --memory-limit")


@contextmanager
def limited_memory(limit: int | None) -> Iterator[None]:
    """Limit the memory that this process may ask for on top of what it has.

    The limit is ``RLIMIT_DATA``, which counts memory that was asked for and can be written, touched
    or not. ``RLIMIT_AS`` would also count libraries, files and the address space of a GPU.

    Args:
        limit: Bytes; None for no limit.
    """
    if limit is None:
        yield
        return
    found = re.search(r"^VmData:\s*(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    has = int(found[1]) * 1024 if found else 0
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    asked = has + limit
    highest = asked if hard == resource.RLIM_INFINITY else min(asked, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (highest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def kills_for_memory() -> int:
    """Return how many processes the kernel has killed here for lack of memory; 0 if unknown."""
    with suppress(OSError):
        found = re.search(r"^oom_kill (\d+)", _COUNTERS.read_text(), re.MULTILINE)
        return int(found[1]) if found else 0
    return 0
