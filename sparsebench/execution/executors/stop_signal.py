"""How a run is stopped so that it can be gone on with: SIGTERM, heard when the time is right."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from sparsebench.errors import StoppedError

if TYPE_CHECKING:
    from types import FrameType

TRAIN = "train"
"""The phase that stops by itself after a step, once its checkpoint is written."""

WRITE = "write"
"""The phase that ends with the result: it is nearly done."""

_UNTIL_DONE = (TRAIN, "select", "deploy", WRITE)
"""The phases that are not broken off, for what they have made would be lost."""


class StopSignal:
    """Remembers that the run is to stop, and stops it at once where nothing is lost by it.

    Args:
        listens: Whether this process is asked; one that trains along stops with the first.
    """

    def __init__(self, *, listens: bool = True) -> None:
        self._asked = False
        self._phase = ""
        signal.signal(signal.SIGTERM, self._ask if listens else signal.SIG_IGN)

    @property
    def asked(self) -> bool:
        """Whether the run is to stop."""
        return self._asked

    def enter(self, phase: str) -> None:
        """Takes note of what the run does now.

        Raises:
            StoppedError: It is to stop, and this need not be begun.
        """
        self._phase = phase
        if self._asked:
            self._stop()

    def _ask(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a handler's own
        self._asked = True
        self._stop()

    def _stop(self) -> None:
        if self._phase not in _UNTIL_DONE:
            raise StoppedError
