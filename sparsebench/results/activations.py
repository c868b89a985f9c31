"""How many activations of the feed-forward networks are not zero."""

from __future__ import annotations

import statistics

from pydantic import Field

from sparsebench.results.records import CostRecord

THRESHOLD = 1e-3
"""An activation of a larger size than this counts as fired, in the headline."""


class LayerDensity(CostRecord):
    """The density of one feed-forward network."""

    stack: str
    """``encoder`` or ``decoder``."""

    above: dict[float, float]
    """Threshold -> share of activations of a larger size, padding left out; at 0, those that are
    not zero."""

    exact_padded: float
    """Share of activations that are not zero, padding included: the definition of DEFT's authors
    (arXiv:2402.01911)."""

    union: dict[int, float]
    """Tokens -> share of neurons that fire for at least one of so many neighbouring tokens, at
    the headline's threshold: what a kernel that shares a weight between them can skip no more."""


class Activations(CostRecord):
    """The density of every feed-forward network, by the path of its block, and what follows."""

    data: str
    """The inputs that they were measured on, in words."""

    tokens: int
    """Tokens of the inputs, padding left out; of an encoder-decoder, those of the encoder."""

    layers: dict[str, LayerDensity]

    output_error: dict[float, float] = Field(default_factory=dict)
    """Threshold -> relative error of the output, as a norm, if activations up to it were zero."""

    @property
    def density(self) -> float:
        """Share of activations above the headline's threshold, the mean over all layers."""
        return self.mean(THRESHOLD)

    @property
    def density_exact_padded(self) -> float:
        """The published definition, the mean over all layers."""
        return statistics.fmean(layer.exact_padded for layer in self.layers.values())

    def mean(self, threshold: float, *, stack: str | None = None) -> float:
        """Returns the mean density over the layers of a stack, or over all.

        Args:
            threshold: One of those that were measured.
            stack: ``encoder``, ``decoder``, or None for both.
        """
        parts = [layer for layer in self.layers.values() if stack in (None, layer.stack)]
        return statistics.fmean(layer.above[threshold] for layer in parts)
