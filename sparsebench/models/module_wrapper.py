"""A module around another, transparent to those who ask."""

from __future__ import annotations

from typing import Any

from torch import nn


class ModuleWrapper(nn.Module):
    """Stands in the place of a module and changes what it computes.

    What is asked of it and is not its own (``weight``, ``bias``, ``in_features`` ...) is answered
    by the module inside. So an anatomy can still be read, and its matrices be had.

    Args:
        inner: The module inside.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)
