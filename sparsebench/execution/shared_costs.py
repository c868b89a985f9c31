"""Measure what depends on the shapes of a deployed model once in a results folder.

Latency and the memory of a forward pass depend on the modules of a model, their shapes and the
share of zeros, not on the task, the seed or the values of the weights. The first run with these
conditions measures them; later runs in the same results folder reuse its record. Parameters,
multiply-adds, activation density and training are measured in every run. A noisy latency is
measured again by the next runs, at most ``MEASUREMENTS`` times; later runs reuse the least noisy.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from contextlib import contextmanager, suppress
from math import inf
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sparsebench.bounded_files import MIB, read_text
from sparsebench.errors import UserError
from sparsebench.profiling.parameters import nonzero_entries
from sparsebench.results.base import Record
from sparsebench.results.costs import Costs
from sparsebench.results.latency import NOISY
from sparsebench.results.provenance import describe_device
from sparsebench.results.store import COSTS
from sparsebench.training.checkpoints import save_notes
from sparsebench.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import torch
    from torch import nn

    from sparsebench.execution.job import Job

PATIENCE = 120.0
"""Seconds to wait for another run that is measuring; after them a run measures by itself."""

_INTERVAL = 0.05

MEASUREMENTS = 3
"""Runs that measure at most, if the latency is noisy in every one of them."""


class SharedCosts(Record):
    """The costs that one run measured, for later runs under the same conditions."""

    key: str
    """Key of the run that measured them."""

    costs: Costs
    measurements: int = 1
    """Runs that have measured; the record is that of the least noisy one."""

    @property
    def is_final(self) -> bool:
        """Whether later runs reuse it: it is not noisy, or was measured often enough."""
        return self.measurements >= MEASUREMENTS or self.scatter <= NOISY

    @property
    def scatter(self) -> float:
        """The interquartile range of the latency, as a share of its median."""
        latency = self.costs.latency
        return inf if latency is None else latency.iqr / latency.median


class CostShare:
    """The shared record of one set of conditions.

    Args:
        file: The place of the record; None if it is not shared.
        stored: The record of earlier runs; None without one.
    """

    def __init__(self, file: Path | None, stored: SharedCosts | None) -> None:
        self._file = file
        self._noisy = None if stored is None or stored.is_final else stored
        self.found = stored if self._noisy is None else None
        """The record to reuse; None if this run measures."""

    def recorded(self, costs: Costs, *, key: str) -> Costs:
        """Return the costs of a run, marked if they were reused; store them if they are new.

        Args:
            costs: The costs of the run.
            key: The key of the run.
        """
        if self.found is not None:
            return costs.model_copy(update={"reused_from": self.found.key})
        complete = costs.latency is not None and costs.memory and costs.memory.activations
        if self._file is not None and complete:
            own = SharedCosts(key=key, costs=costs)
            known = [own] if self._noisy is None else [self._noisy, own]
            best = min(known, key=lambda record: record.scatter)
            count = sum(record.measurements for record in known)
            _write(self._file, best.model_copy(update={"measurements": count}))
        return costs


@contextmanager
def share_costs(job: Job, model: nn.Module, device: torch.device) -> Iterator[CostShare]:
    """Look for the costs of a model that an earlier run measured under the same conditions.

    While one run measures, others with the same conditions wait for its record. A run that replaces
    a stored result measures anew.

    Args:
        job: The run.
        model: Its deployed model.
        device: The device of the measurement.

    Yields:
        The record that is shared; its costs are found or to be measured.
    """
    try:
        file = job.store / COSTS / f"{_digest(cost_conditions(job, model, device))}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
    except Exception:  # noqa: BLE001 - a deployed model may fail in any way; profiling says how
        yield CostShare(None, None)
        return
    share = CostShare(file, _stored(file, job))
    lock = _lock(file.with_suffix(".lock")) if share.found is None else None
    try:
        if lock is not None:
            share = CostShare(file, _stored(file, job))  # another run may have measured meanwhile
            if share.found is not None:
                os.close(lock)
                lock = None
        yield share
    finally:
        if lock is not None:
            os.close(lock)


def _stored(file: Path, job: Job) -> SharedCosts | None:
    """Return the record to start from; None for a run that replaces a stored result."""
    return None if job.replaces else _read(file)


def cost_conditions(job: Job, model: nn.Module, device: torch.device) -> dict[str, Any]:
    """Return everything that latency and the memory of a forward pass depend on.

    Args:
        job: The run: its method, backbone and shapes.
        model: Its deployed model; its modules, shapes, types and share of zeros count.
        device: The device of the measurement.
    """
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    weights = list(model.parameters())
    total = sum(weight.numel() for weight in weights)
    zeros = 1 - sum(map(nonzero_entries, weights)) / total if total else 0.0
    return {
        "version": __version__,
        "method": job.spec.method.model_dump(mode="json", exclude={"label"}),
        "backbone": job.spec.model_fingerprint,
        "modules": [f"{name}: {type(part).__name__}" for name, part in model.named_modules()],
        "tensors": [f"{name}: {tuple(t.shape)} {t.dtype}" for name, t in tensors.items()],
        "zeros": round(zeros, 2),
        "attention": getattr(getattr(model, "config", None), "_attn_implementation", None),
        "measuring": job.costs.model_dump(mode="json"),
        "device": describe_device(device).model_dump(mode="json", exclude={"others"}),
    }


def _digest(conditions: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(conditions, sort_keys=True).encode()).hexdigest()[:16]


def _read(file: Path) -> SharedCosts | None:
    """Return a stored record; None without one, or if it cannot be read."""
    try:
        return SharedCosts.model_validate_json(read_text(file, limit=10 * MIB))
    except (UserError, ValidationError):
        return None


def _write(file: Path, record: SharedCosts) -> None:
    """Store a record; a folder that cannot be written has none."""
    with suppress(OSError):
        save_notes(record.model_dump(mode="json"), file)


def _lock(path: Path) -> int | None:
    """Wait for a lock; return its descriptor, or None if it cannot be had."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        return None
    end = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < end:
                time.sleep(_INTERVAL)
                continue
        except OSError:
            pass
        else:
            return descriptor
        os.close(descriptor)
        return None
