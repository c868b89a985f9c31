"""The contract of an executor, and the registry of those that are installed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from pydantic import ValidationError

from sparsebench.errors import UserError
from sparsebench.errors.problems import explain, located
from sparsebench.registry import Registry
from sparsebench.schema.base import FrozenModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sparsebench.execution.events import Report
    from sparsebench.execution.job import Job


DEVICES = ("auto", "cpu", "cuda")
"""What runs may be made on; ``cuda:N`` besides."""


class Executor(ABC):
    """Makes runs somewhere; subclass it and register the class as an entry point.

    Args:
        workers: How many runs to make at once; None for what suits the place.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        options: Settings of its own, by name.

    Raises:
        UserError: An option or the device is unknown or bad, or a package is missing.
    """

    Options: ClassVar[type[FrozenModel]] = FrozenModel
    """A pydantic model of the options that it takes; by default it takes none."""

    def __init__(
        self,
        *,
        workers: int | None = None,
        device: str = "auto",
        options: Mapping[str, object] | None = None,
    ) -> None:
        if device not in DEVICES and not device.startswith("cuda:"):
            raise UserError(f"--device: unknown device {device!r}; write auto, cpu, cuda or cuda:N")
        self.workers = workers
        self.device = device
        try:
            self.options = self.Options.model_validate(options or {})
        except ValidationError as error:
            faults = explain(error, self.Options, options or {})
            lines = [f"--executor-option {located(*fault)}" for fault in faults]
            raise UserError("\n".join(lines)) from None

    @abstractmethod
    def run(self, jobs: Sequence[Job], report: Report) -> None:
        """Makes every run and leaves a result of each in its store, whatever happens to it.

        A run that another command makes at the same time is left to it and waited for.

        Args:
            jobs: The runs to make.
            report: Is told how they go, from any thread.

        Raises:
            KeyboardInterrupt: It was stopped; what runs have left can be gone on from.
            UserError: No result can be written.
        """


def _check(loaded: object) -> type[Executor]:
    if not (isinstance(loaded, type) and issubclass(loaded, Executor)):
        raise TypeError(f"not a subclass of sparsebench.execution.executors.Executor: {loaded!r}")
    return loaded


EXECUTORS: Registry[type[Executor]] = Registry(
    "sparsebench.executors", kind="executor", check=_check
)
"""The executors that are installed, by the name users type."""
