"""The costs of a deployed model: parameters, storage, multiply-adds, seconds, memory, energy.

Each record holds raw measurements with their unit; derived figures are properties and are never
stored. Different quantities have different names: dense multiply-adds are not mixed with those that
skip zeros, nor growth of the process with statistics of the allocator.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from sparsebench.results.arithmetic import (
    THRESHOLD,
    TOLERANCE,
    Activations,
    Flops,
    FlopStatus,
    LayerDensity,
)
from sparsebench.results.base import Record, Shapes
from sparsebench.results.latency import BreakEven, Generation, Latency, RuntimeCost

__all__ = [
    "THRESHOLD",
    "TOLERANCE",
    "Activations",
    "BreakEven",
    "Costs",
    "Device",
    "Energy",
    "FlopStatus",
    "Flops",
    "Generation",
    "Latency",
    "LayerDensity",
    "Memory",
    "MemoryKind",
    "MemoryPeak",
    "Parameters",
    "RuntimeCost",
    "Shapes",
    "Storage",
]


class Device(Record):
    """The device that costs were measured on."""

    type: str
    """``cpu``, ``cuda``, or another type of torch device."""

    name: str
    """The maker's name of the processor or accelerator."""

    threads: int
    """Threads that one operator may use on the CPU."""

    torch: str
    """Version of torch."""

    others: tuple[str, ...] = ()
    """Other processes that used the accelerator during the measurement, as its driver names
    them."""

    @property
    def title(self) -> str:
        """The name, and for a processor the threads."""
        return f"{self.name}, {self.threads} threads" if self.type == "cpu" else self.name


class Parameters(Record):
    """The numbers of trained and of deployed parameters."""

    trainable: int | None = None
    """Trained parameters without the task head; None where nothing was trained."""

    head: int
    """Parameters of the task head."""

    total: int
    """All parameters of the deployed model with its head; shared ones count once."""

    nonzero: int
    """Those of ``total`` that are stored and not zero."""

    encoder: int | None = None
    """Weights in the matrices of the transformer blocks; None for an unknown family."""

    encoder_nonzero: int | None = None
    """Those of ``encoder`` that are stored and not zero."""

    reference_total: int | None = None
    """All parameters of the untouched backbone with its head."""

    reference_encoder: int | None = None
    """Weights in the matrices of the untouched backbone's transformer blocks."""

    bytes_on_disk: int | None = None
    """Bytes of all files in the deployed folder."""

    @property
    def sparsity(self) -> float:
        """Share of zero or removed weights, relative to the untouched backbone.

        Parameters that a method added to the backbone enlarge the denominator.
        """
        return _sparsity(self.nonzero, total=self.total, reference=self.reference_total)

    @property
    def encoder_sparsity(self) -> float | None:
        """Share of zero or removed weights in the matrices of the blocks."""
        if self.encoder is None or self.encoder_nonzero is None:
            return None
        reference = self.reference_encoder
        return _sparsity(self.encoder_nonzero, total=self.encoder, reference=reference)


def _sparsity(nonzero: int, *, total: int, reference: int | None) -> float:
    whole = max(total, reference or 0)
    return 1 - nonzero / whole if whole else 0.0


class Storage(Record):
    """The bytes of a deployed model on disk."""

    unit: Literal["B"] = "B"
    """Bytes."""

    dense: int
    """The weights as the deployed folder stores them, every zero written."""

    sparse: int
    """The weights in the smallest encoding that can be loaded: each tensor either dense, or one bit
    per entry plus the values that are not zero."""

    per_task: int | None = None
    """Bytes for this task beside one shared backbone: the smaller of the trained values with their
    masks, and the sparse encoding of all tensors that differ from the backbone's. None if the
    backbone is not known."""

    per_task_as: Literal["trained values and masks", "changed tensors"] | None = None
    """Which of the two was smaller."""


class MemoryKind(StrEnum):
    """The source of a number of bytes."""

    ALLOCATOR = "allocator"
    """The peak of the accelerator's allocator."""

    RESIDENT = "resident"
    """Growth of the process's resident set to its peak: pages that the process touched. Less than
    was allocated where freed pages were used again."""


class MemoryPeak(Record):
    """Growth of memory from before something ran to its peak."""

    unit: Literal["B"] = "B"
    """Bytes."""

    kind: MemoryKind
    """The source of the bytes."""

    bytes: int
    """The peak minus what was in use before."""


class Memory(Record):
    """Memory of the deployed model in inference, and of its training."""

    weights: int
    """Bytes of parameters and buffers; shared ones count once, sparse ones as stored."""

    activations: MemoryPeak | None = None
    """Growth during one forward pass of the loaded model."""

    fresh: MemoryPeak | None = None
    """Growth during loading the deployed folder and one forward pass, in a process of its own; None
    where it was not measured."""

    training: MemoryPeak | None = None
    """Growth during training, from before the backbone was loaded; None without training."""

    shapes: Shapes
    """The inputs of the forward pass."""

    @property
    def inference(self) -> int | None:
        """Peak bytes in inference: those of a fresh process, else weights plus activations."""
        if self.fresh is not None:
            return self.fresh.bytes
        return None if self.activations is None else self.weights + self.activations.bytes


class Energy(Record):
    """Energy of one forward pass by the accelerator's own counter, idle draw included."""

    unit: Literal["J"] = "J"
    """Joules."""

    joules: float
    """Joules of one forward pass of the batch: growth of the counter over the number of passes."""

    reference: float | None = None
    """The same for the untouched backbone."""

    passes: int
    """Forward passes between the two readings of the counter."""


class Costs(Record):
    """The costs of one deployed model under one condition: a device, a dtype, an input shape.

    A part that could not be measured is None, and ``missing`` says why.
    """

    device: Device
    """The device of the measurement."""

    dtype: str
    """Type of most of the model's weights, such as ``float32``."""

    attention: str | None = None
    """Implementation of attention that the model ran with, such as ``sdpa``."""

    parameters: Parameters | None = None
    flops: Flops | None = None
    latency: Latency | None = None
    memory: Memory | None = None

    storage: Storage | None = None
    """Bytes of the deployed model; None if its backbone is not known."""

    density: Activations | None = None
    """Activation density of the feed-forward networks; None where it was not measured."""

    runtimes: tuple[RuntimeCost, ...] = ()
    """The model under each requested runtime."""

    generation: Generation | None = None
    """Costs of generation; None for a model that does not generate, or where not measured."""

    energy: Energy | None = None
    """None if the device has no energy counter."""

    reused_from: str | None = None
    """Key of the run that measured ``latency``, ``runtimes`` and ``memory.activations``; None if
    they were measured in this run."""

    missing: dict[str, str] = Field(default_factory=dict)
    """Part -> why it is None: ``parameters``, ``flops``, ``latency``, ``activations``,
    ``density``, ``storage``, ``generation``, ``energy``, ``fresh`` or ``training``."""
