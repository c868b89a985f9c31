"""The costs of writing: reading the prompt at once, and then each token on its own."""

from __future__ import annotations

from sparsebench.results.latency import Latency
from sparsebench.results.records import CostRecord


class Generation(CostRecord):
    """Greedy generation of one sequence (arithmetic) or batch (time), with a key-value cache.

    The prompt is read by the first pass, which also gives the first new token; every further token
    takes a pass of its own.
    """

    prompt: int
    """Tokens of the prompt."""

    tokens: int
    """New tokens that arithmetic is counted for."""

    prefill: int
    """Multiply-adds of the first pass."""

    decode: int
    """Multiply-adds of all passes after it together."""

    prefill_closed_form: int | None = None
    """What ``prefill`` should be by the architecture."""

    decode_closed_form: int | None = None
    """What ``decode`` should be by the architecture."""

    uncounted: tuple[str, ...] = ()
    """Operators that compute and that we cannot count, by name."""

    prefill_latency: Latency | None = None
    """Time of the first pass; None where it was not measured."""

    token_latency: Latency | None = None
    """Time of a pass for one token, the cache growing from pass to pass."""

    @property
    def matrix(self) -> int:
        """Multiply-adds of all matrix products."""
        return self.prefill + self.decode

    @property
    def deviation(self) -> float | None:
        """The larger distance of the two counts from their closed forms, as a share of them."""
        pairs = [(self.prefill, self.prefill_closed_form), (self.decode, self.decode_closed_form)]
        if any(expected is None for _, expected in pairs):
            return None
        return max(abs(count - formula) / formula for count, formula in pairs if formula)
