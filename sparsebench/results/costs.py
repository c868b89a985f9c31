"""What a deployed model costs: parameters, multiply-adds, seconds and bytes.

Each record holds what was measured, raw, with its unit; what follows from it is a property and is
never stored beside it. Figures that mean different things have different names: a count of dense
products is never mixed with one that skips zeros, nor measured growth with allocator statistics.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from sparsebench.results.activations import Activations
from sparsebench.results.energy import Energy
from sparsebench.results.generation import Generation
from sparsebench.results.latency import Latency
from sparsebench.results.records import CostRecord, Shapes
from sparsebench.results.runtimes import RuntimeCost
from sparsebench.results.storage import Storage

__all__ = [
    "TOLERANCE",
    "Activations",
    "CostRecord",
    "Costs",
    "Device",
    "Energy",
    "FlopStatus",
    "Flops",
    "Generation",
    "Latency",
    "Memory",
    "MemoryKind",
    "MemoryPeak",
    "Parameters",
    "RuntimeCost",
    "Shapes",
    "Storage",
]

TOLERANCE = 0.01
"""How far a traced count may lie from its closed form, as a share, and still be verified."""


class Parameters(CostRecord):
    """How many weights train, and how many ship."""

    trainable: int | None = None
    """Parameters that were trained, those of the task head apart; None where nothing trained."""

    head: int
    """Parameters of the task head."""

    total: int
    """All parameters of the deployed model, the head included; shared ones count once."""

    nonzero: int
    """Of these, the stored ones that are not zero."""

    encoder: int | None = None
    """Weights in the matrices of the transformer blocks; None where the family is not known."""

    encoder_nonzero: int | None = None
    """Of these, the stored ones that are not zero."""

    reference_total: int | None = None
    """All parameters of the untouched backbone with its head."""

    reference_encoder: int | None = None
    """Weights in the matrices of the untouched backbone's transformer blocks."""

    bytes_on_disk: int | None = None
    """Bytes of all files of the deployed folder."""

    @property
    def sparsity(self) -> float:
        """Share of the whole model that is zero or gone, against the untouched backbone.

        Parameters that a method added to the backbone enlarge what the share is taken of.
        """
        return _share_gone(self.nonzero, total=self.total, reference=self.reference_total)

    @property
    def encoder_sparsity(self) -> float | None:
        """Share of the blocks' matrices that is zero or gone, against the untouched backbone."""
        if self.encoder is None or self.encoder_nonzero is None:
            return None
        reference = self.reference_encoder
        return _share_gone(self.encoder_nonzero, total=self.encoder, reference=reference)


class FlopStatus(StrEnum):
    """Whether a count of multiply-adds can be trusted."""

    VERIFIED = "verified"
    """Every operator was counted, and the sum is within 1 % of the closed form."""

    UNVERIFIED = "unverified"
    """An operator was not counted, or the closed form is missing or disagrees."""


class Flops(CostRecord):
    """Arithmetic of one forward pass. One multiply-add counts as one, as in fvcore."""

    unit: Literal["MAC"] = "MAC"
    """Multiply-adds. Papers that say FLOPs often mean twice this."""

    matrix: int
    """Multiply-adds of all matrix products that run, attention included; a zero that is stored in
    a dense matrix counts, one that a sparse kernel skips does not."""

    matrix_nonzero: int | None = None
    """The same without the products of stored weights that are zero: what a perfect kernel would
    run, not what runs. None for a model without values (on the meta device)."""

    matrix_effective: int | None = None
    """Of ``matrix_nonzero``, those left if the second product of every feed-forward network skips
    activations that are zero, by the measured density; None where that was not measured."""

    elementwise: int
    """Operations of element-wise work (norms, softmax, activations, sums), never part of
    ``matrix``."""

    closed_form: int | None = None
    """The figure that ``matrix`` should have by the architecture; None where we have no formula."""

    uncounted: tuple[str, ...] = ()
    """Operators that compute and that we cannot count, by name."""

    shapes: Shapes
    """The inputs of the forward pass."""

    @property
    def deviation(self) -> float | None:
        """How far ``matrix`` lies from the closed form, as a share of it."""
        return abs(self.matrix - self.closed_form) / self.closed_form if self.closed_form else None

    @property
    def status(self) -> FlopStatus:
        """Whether the count can be trusted."""
        close = self.deviation is not None and self.deviation <= TOLERANCE
        return FlopStatus.VERIFIED if close and not self.uncounted else FlopStatus.UNVERIFIED

    @property
    def reason(self) -> str | None:
        """Why the count is not verified; None where it is."""
        if self.uncounted:
            return f"not counted: {', '.join(self.uncounted)}"
        if self.deviation is None:
            return "no closed form for this architecture"
        if self.deviation > TOLERANCE:
            return f"{self.deviation:.1%} away from the closed form"
        return None


class MemoryKind(StrEnum):
    """What a number of bytes was read from."""

    ALLOCATOR = "allocator"
    """The most that the accelerator's allocator had handed out at any moment."""

    RESIDENT = "resident"
    """Growth of the process's resident set, from before to its peak: pages of the system that the
    process touched. Smaller than what was allocated where freed pages were used again."""


class MemoryPeak(CostRecord):
    """How much memory grew, from before something ran to its peak."""

    unit: Literal["B"] = "B"
    """Bytes."""

    kind: MemoryKind
    """What the bytes were read from."""

    bytes: int
    """The peak, less what was in use before."""


class Memory(CostRecord):
    """Memory of the deployed model in inference, and of its training."""

    weights: int
    """Bytes of the model's parameters and buffers, shared ones once, sparse ones as stored."""

    activations: MemoryPeak | None = None
    """Growth around one forward pass of the loaded model."""

    fresh: MemoryPeak | None = None
    """Growth around loading the deployed folder and one forward pass, in a process of its own;
    None where it was not asked for."""

    training: MemoryPeak | None = None
    """Growth around training, from before the backbone was loaded; None where nothing trained."""

    shapes: Shapes
    """The inputs of the forward pass."""

    @property
    def inference(self) -> int | None:
        """Peak bytes in inference: of a fresh process, else weights plus activations."""
        if self.fresh is not None:
            return self.fresh.bytes
        return None if self.activations is None else self.weights + self.activations.bytes


class Device(CostRecord):
    """Where the costs were measured."""

    type: str
    """``cpu``, ``cuda``, or another type of torch device."""

    name: str
    """The processor, in its maker's words."""

    threads: int
    """Threads that one operator may use on the CPU."""

    torch: str
    """Version of torch."""

    others: tuple[str, ...] = ()
    """Other processes that used the accelerator while it was measured on, as its driver names
    them."""


class Costs(CostRecord):
    """The costs of one deployed model under one condition: a device, a dtype, one shape of input.

    A part that could not be measured is None, and ``missing`` says why.
    """

    device: Device
    """Where they were measured."""

    dtype: str
    """Type of most of the model's weights, such as ``float32``."""

    attention: str | None = None
    """Implementation of attention that the model ran with, such as ``sdpa``."""

    parameters: Parameters | None = None
    flops: Flops | None = None
    latency: Latency | None = None
    memory: Memory | None = None

    storage: Storage | None = None
    """Bytes of what ships; None where the backbone that it came from is not known."""

    density: Activations | None = None
    """How many activations of the feed-forward networks are not zero; None where not asked for."""

    runtimes: tuple[RuntimeCost, ...] = ()
    """The model under each runtime that was asked for."""

    generation: Generation | None = None
    """The costs of writing; None where the model does not write, or it was not asked for."""

    energy: Energy | None = None
    """None where the device does not tell."""

    missing: dict[str, str] = Field(default_factory=dict)
    """Why something is None, by its name: ``parameters``, ``flops``, ``latency``, ``activations``,
    ``density``, ``storage``, ``generation``, ``energy``, ``fresh`` or ``training``."""


def _share_gone(nonzero: int, *, total: int, reference: int | None) -> float:
    whole = max(total, reference or 0)
    return 1 - nonzero / whole if whole else 0.0
