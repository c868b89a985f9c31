"""The contract of an executor, and the registry of those that are installed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from sparsebench.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsebench.events import Report
    from sparsebench.job import Job


class Executor(ABC):
    """Makes runs somewhere; subclass it and register the class as an entry point.

    Args:
        workers: How many runs to make at once.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    """

    def __init__(self, *, workers: int = 1, device: str = "auto") -> None:
        self.workers = workers
        self.device = device

    @abstractmethod
    def run(self, jobs: Sequence[Job], report: Report) -> None:
        """Makes every run and leaves a result of each in its store, whatever happens to it.

        Args:
            jobs: The runs to make.
            report: Is told how they go, from any thread.
        """


def _check(loaded: object) -> type[Executor]:
    if not (isinstance(loaded, type) and issubclass(loaded, Executor)):
        raise TypeError(f"not a subclass of sparsebench.executors.Executor: {loaded!r}")
    return loaded


EXECUTORS: Registry[type[Executor]] = Registry(
    "sparsebench.executors", kind="executor", check=_check
)
"""The executors that are installed, by the name users type."""
