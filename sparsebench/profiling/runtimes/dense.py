"""The runtime ``dense``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparsebench.profiling.runtimes.base import Runtime

if TYPE_CHECKING:
    from torch import nn


class Dense(Runtime):
    """The deployed model as it is: a zero costs as much time as any other weight."""

    def convert(self, model: nn.Module) -> nn.Module:
        """Return the model itself."""
        return model
