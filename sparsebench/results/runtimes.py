"""A deployed model under a runtime, and how sparse a matrix must be for a runtime to gain."""

from __future__ import annotations

from typing import Literal

from sparsebench.results.latency import Latency
from sparsebench.results.records import CostRecord


class RuntimeCost(CostRecord):
    """The same deployed weights under one runtime."""

    name: str
    """The registered name of the runtime."""

    reason: str | None = None
    """Why it was not measured; None where it was."""

    latency: Latency | None = None
    """Measured beside the untouched backbone, as ``Costs.latency`` is."""

    theoretical: float | None = None
    """How many times fewer multiply-adds the weights need than the untouched backbone: the
    speed-up that skipping every zero would promise."""

    difference: float | None = None
    """Largest difference of an output from that of the deployed model as it is, as a share of the
    largest output."""

    tolerance: float | None = None
    """The largest difference that counts as equal, by the type of the weights."""

    @property
    def equal(self) -> bool | None:
        """Whether the outputs are those of the deployed model as it is; None if not measured."""
        if self.difference is None or self.tolerance is None:
            return None
        return self.difference <= self.tolerance

    @property
    def speedup(self) -> float | None:
        """Time of the untouched backbone over that of this runtime, the headline ratio inverted."""
        ratio = self.latency.ratio if self.latency else None
        return 1 / ratio if ratio else None

    @property
    def realised(self) -> float | None:
        """Measured over theoretical speed-up; 1 where all that was promised is there."""
        if self.speedup is None or not self.theoretical:
            return None
        return self.speedup / self.theoretical


class BreakEven(CostRecord):
    """From which share of zeros on a runtime's product is faster than the dense one, by shape."""

    runtime: str
    """The registered name of the runtime."""

    rows: int
    """Outputs of the matrix."""

    columns: int
    """Inputs of the matrix."""

    tokens: int
    """Tokens that it is applied to at once."""

    what: Literal["weights", "activations", "rows"]
    """What is zero or gone: weights anywhere, activations that come in, or whole rows."""

    ratios: dict[float, float]
    """Share -> time of the runtime over that of the dense product."""

    sparsity: float | None
    """The share from which on it gains, between measured ones by a straight line; None where it
    gains at none of them."""
