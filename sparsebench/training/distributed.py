"""Data-parallel training: the processes that train one run together, one for each device.

They hold the same model, each computes on its shard of every batch, and gradients are averaged.
Only the main process, rank 0, reports, evaluates and writes, and it continues alone after training.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import nn

STEP_TIMEOUT = timedelta(minutes=30)
"""Timeout of a process that waits for the others in a step."""

CONTROL_TIMEOUT = timedelta(days=30)
"""Timeout while the main process does something long, such as an evaluation."""


class WeightsDifferError(UserError):
    """The processes of one run have trained different weights."""


@dataclass
class ProcessGroup:
    """The processes of one run; by default a single one.

    Attributes:
        rank: The number of this process, from 0; rank 0 is the main process.
        size: The number of processes.
        rendezvous: A file that does not exist yet, through which they connect to each other.
    """

    rank: int = 0
    size: int = 1
    rendezvous: Path | None = None
    _control: Any = field(default=None, init=False, repr=False)

    @property
    def is_main(self) -> bool:
        """Whether this is the main process."""
        return self.rank == 0

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Connect to the other processes; disconnect at the end if nothing failed."""
        if self.size == 1:
            yield
            return
        import torch
        from torch import distributed

        if sys.platform == "linux":  # all of them are on one machine
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        with _environment(self, threads=torch.get_num_threads()):
            distributed.init_process_group(
                "nccl" if torch.cuda.is_available() else "gloo",
                store=distributed.FileStore(str(self.rendezvous), self.size),  # type: ignore[attr-defined]
                rank=self.rank,
                world_size=self.size,
                timeout=STEP_TIMEOUT,
            )
            self._control = distributed.new_group(backend="gloo", timeout=CONTROL_TIMEOUT)
            yield
            self.barrier()
            distributed.destroy_process_group()

    def barrier(self) -> None:
        """Wait until all processes have reached this call."""
        if self.size > 1:
            from torch import distributed

            distributed.barrier(group=self._control)

    def broadcast(self, number: int) -> int:
        """Return, in every process, the number that the main process passes."""
        if self.size == 1:
            return number
        import torch
        from torch import distributed

        tensor = torch.tensor(number)
        distributed.broadcast(tensor, src=0, group=self._control)
        return int(tensor)

    @contextmanager
    def shared_random_state(self, seed: int) -> Iterator[None]:
        """Make all processes draw the same random numbers inside, and their own ones afterwards.

        Changes nothing in a single process.
        """
        if self.size == 1:
            yield
            return
        import numpy as np
        import torch
        from transformers import set_seed

        python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - set_seed's own
        with torch.random.fork_rng():
            set_seed(seed)
            yield
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002

    def check_equal_weights(self, model: nn.Module) -> None:
        """Check that the weights of all processes are equal, bit for bit.

        Raises:
            WeightsDifferError: They differ.
        """
        if self.size == 1:
            return
        import torch
        from torch import distributed

        number = _digest(model)
        extremes = torch.tensor([number, -number])
        distributed.all_reduce(extremes, op=distributed.ReduceOp.MAX, group=self._control)
        if extremes[0] != -extremes[1]:
            raise WeightsDifferError(
                f"the {self.size} processes have trained different weights: the method takes a "
                "decision in each process on its own; train it on one device"
            )


@contextmanager
def _environment(group: ProcessGroup, *, threads: int) -> Iterator[None]:
    """Set the environment variables that accelerate reads, and restore them afterwards.

    Each process sees one GPU, its own, so the local rank is always 0. Without a number of threads,
    accelerate would choose one.
    """
    names = {
        "RANK": group.rank,
        "WORLD_SIZE": group.size,
        "LOCAL_RANK": 0,
        "LOCAL_WORLD_SIZE": group.size,
        "OMP_NUM_THREADS": threads,
    }
    before = {name: os.environ.get(name) for name in (*names, "MASTER_PORT")}
    os.environ.update({name: str(value) for name, value in names.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _digest(model: nn.Module) -> int:
    import torch

    digest = hashlib.blake2b(digest_size=7)  # a number that fits in 64 bits with its sign
    for parameter in model.parameters():
        content = parameter.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(content.numpy().tobytes())
    return int.from_bytes(digest.digest())
