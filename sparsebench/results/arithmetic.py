"""The arithmetic of a deployed model: multiply-adds, and activations that are zero."""

from __future__ import annotations

import statistics
from enum import StrEnum
from typing import Literal

from pydantic import Field

from sparsebench.results.base import Record, Shapes

TOLERANCE = 0.01
"""The largest deviation of a traced count from its closed form that is still verified, a share."""

THRESHOLD = 1e-3
"""An FFN unit is active if its activation is larger than this in size, in the headline figure."""


class FlopStatus(StrEnum):
    """Whether a count of multiply-adds can be trusted."""

    VERIFIED = "verified"
    """Every operator was counted, and the sum is within 1 % of the closed form."""

    UNVERIFIED = "unverified"
    """An operator was not counted, or the closed form is missing or disagrees."""


class Flops(Record):
    """The arithmetic of one forward pass. One multiply-add counts as one, as in fvcore."""

    unit: Literal["MAC"] = "MAC"
    """Multiply-adds. Papers that report FLOPs often mean twice this number."""

    matrix: int
    """Multiply-adds of all matrix products that run, attention included. Zeros in a dense matrix
    count; zeros that a sparse kernel skips do not."""

    matrix_nonzero: int | None = None
    """``matrix`` without the products of stored weights that are zero: what a perfect kernel would
    run. None for a model without values (on the meta device)."""

    matrix_effective: int | None = None
    """``matrix_nonzero`` if the second product of every FFN also skips activations that are zero,
    by the measured activation density; None where that was not measured."""

    elementwise: int
    """Operations of element-wise work (norms, softmax, activation functions, sums); not part of
    ``matrix``."""

    closed_form: int | None = None
    """The value of ``matrix`` by the architecture; None where there is no formula."""

    uncounted: tuple[str, ...] = ()
    """Names of the operators that compute and have no handler."""

    shapes: Shapes
    """The inputs of the forward pass."""

    @property
    def deviation(self) -> float | None:
        """The distance of ``matrix`` from the closed form, as a share of the closed form."""
        return abs(self.matrix - self.closed_form) / self.closed_form if self.closed_form else None

    @property
    def status(self) -> FlopStatus:
        """Whether the count can be trusted."""
        return FlopStatus.VERIFIED if self.reason is None else FlopStatus.UNVERIFIED

    @property
    def reason(self) -> str | None:
        """Why the count is not verified; None if it is."""
        if self.uncounted:
            return f"not counted: {', '.join(self.uncounted)}"
        if self.deviation is None:
            return "no closed form for this architecture"
        if self.deviation > TOLERANCE:
            return f"{self.deviation:.1%} away from the closed form"
        return None


class LayerDensity(Record):
    """The activation density of one feed-forward network."""

    stack: str
    """``encoder`` or ``decoder``."""

    above: dict[float, float]
    """Threshold -> share of activations that are larger in size, without padding; at 0, the share
    that is not zero."""

    exact_padded: float
    """Share of activations that are not zero, padding included: the definition of the DEFT paper
    (arXiv:2402.01911)."""

    union: dict[int, float]
    """Number of neighbouring tokens -> share of FFN units that are active for at least one of them,
    at ``THRESHOLD``: the share that a kernel must compute if these tokens share its weights."""


class Activations(Record):
    """The activation density of a model, for each feed-forward network by the path of its block."""

    data: str
    """A description of the inputs."""

    tokens: int
    """Tokens of the inputs, without padding; for an encoder-decoder, those of the encoder."""

    layers: dict[str, LayerDensity]

    output_error: dict[float, float] = Field(default_factory=dict)
    """Threshold -> relative error (norm) of the output if activations up to it are set to zero."""

    @property
    def density(self) -> float:
        """Share of activations above ``THRESHOLD``, mean over all layers."""
        return self.mean(THRESHOLD)

    @property
    def density_exact_padded(self) -> float:
        """The definition of the DEFT paper, mean over all layers."""
        return statistics.fmean(layer.exact_padded for layer in self.layers.values())

    def mean(self, threshold: float, *, stack: str | None = None) -> float:
        """Return the mean activation density over the layers of one stack or of all.

        Args:
            threshold: One of the measured thresholds.
            stack: ``encoder``, ``decoder``, or None for both.
        """
        parts = [layer for layer in self.layers.values() if stack in (None, layer.stack)]
        return statistics.fmean(layer.above[threshold] for layer in parts)
