"""How a run is asked to stop, and stops where its checkpoint loses nothing.

A person, a scheduler or the command itself sends SIGTERM; Slurm and submitit send others too. Some
reach every process of a job at once: the run, the command that started it, and the fork server.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sparsebench.errors import StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2})

TRAIN = "train"
"""The phase that stops by itself after a step, once its checkpoint is written."""

WRITE = "write"
"""The phase that ends with the result: it is nearly done."""

_UNTIL_DONE = (TRAIN, "select", "deploy", WRITE)
"""The phases that are not interrupted, since their work would be lost."""


class StopSignal:
    """The request to stop a run; it interrupts the phases that leave nothing to lose.

    Args:
        listens: Whether this process reacts; ranks other than the first stop with the first.
    """

    def __init__(self, *, listens: bool = True) -> None:
        self._listens = listens
        self._asked = False
        self._raised = False
        self._phase = ""

    def listen(self) -> None:
        """React to signals from now on, those that came before included.

        Raises:
            StoppedError: The run was asked to stop already.
        """
        for number in STOP_SIGNALS:
            signal.signal(number, self._ask if self._listens else signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    @property
    def asked(self) -> bool:
        """Whether the run was asked to stop."""
        return self._asked

    def enter(self, phase: str) -> None:
        """Note the phase that begins.

        Raises:
            StoppedError: The run was asked to stop, and need not begin this phase.
        """
        self._phase = phase
        if self._asked and phase not in _UNTIL_DONE:
            raise StoppedError

    def _ask(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a handler's own
        self._asked = True
        if self._phase not in _UNTIL_DONE and not self._raised:
            self._raised = True  # a second signal must not interrupt the way out
            raise StoppedError


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Stop the runs of this process on SIGTERM as on Ctrl-C, unless it is handled already.

    A second SIGTERM ends the process at once.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's own
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
