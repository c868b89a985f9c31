"""The processes that train one run together, one for each device, as each of them sees it.

They hold the same model, each computes on its share of every batch, and gradients are averaged. The
first one leads: it alone reports, evaluates and writes, and goes on alone once training is over.
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
"""How long a process waits for the others in a step before it fails."""

CONTROL_TIMEOUT = timedelta(days=30)
"""How long it waits where the first does what takes its time, such as an evaluation."""


class WeightsDifferError(UserError):
    """Processes that were to train one model have trained different ones."""


@dataclass
class ProcessGroup:
    """The processes of one run; by default a single one.

    Attributes:
        rank: The number of this process, from 0; 0 leads.
        size: How many there are.
        rendezvous: A file that none of them has made yet, by which they find each other.
    """

    rank: int = 0
    size: int = 1
    rendezvous: Path | None = None
    _control: Any = field(default=None, init=False, repr=False)

    @property
    def is_main(self) -> bool:
        """Whether this process is the first."""
        return self.rank == 0

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Meets the others, and parts from them where nothing failed."""
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
        """Waits until all processes are here."""
        if self.size > 1:
            from torch import distributed

            distributed.barrier(group=self._control)

    def broadcast(self, number: int) -> int:
        """Returns what the first process says: in each of them, the number that it gave."""
        if self.size == 1:
            return number
        import torch
        from torch import distributed

        said = torch.tensor(number)
        distributed.broadcast(said, src=0, group=self._control)
        return int(said)

    @contextmanager
    def shared_random_state(self, seed: int) -> Iterator[None]:
        """Lets all processes draw the same numbers for a while, and then each its own again.

        A single process draws as it would anyway.
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
        """Compares the weights of the processes, bit for bit.

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
                f"the {self.size} processes have trained different weights: the method decides "
                "something in each of them by itself, and can train on one device only"
            )


@contextmanager
def _environment(group: ProcessGroup, *, threads: int) -> Iterator[None]:
    """Says in the environment, where accelerate looks, who this process is.

    Each process sees one GPU, its own, so that all are number 0 on their machine. Where the number
    of threads is not said, accelerate would choose one.
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
