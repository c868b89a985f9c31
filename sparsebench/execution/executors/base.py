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
"""The devices of runs; ``cuda:N`` besides."""


class Executor(ABC):
    """A place where runs execute; subclass it and register the class as an entry point.

    Args:
        workers: Runs at a time; None for the default of the place.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        options: Its own options, by name.

    Attributes:
        planned: All runs of a plan, cached ones too; empty for those that ``run`` is given. What
            depends on their number is the same when a command is repeated.

    Raises:
        UserError: An option or the device is unknown or bad, or a package is missing.
    """

    Options: ClassVar[type[FrozenModel]] = FrozenModel
    """The model of its options; by default it has none."""

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
        self.planned: Sequence[Job] = ()
        self.device = device
        try:
            self.options = self.Options.model_validate(options or {})
        except ValidationError as error:
            faults = explain(error, self.Options, options or {})
            lines = [f"--executor-option {located(*fault)}" for fault in faults]
            raise UserError("\n".join(lines)) from None

    def notes(self, jobs: Sequence[Job]) -> Sequence[str]:  # noqa: ARG002
        """Return what a user should know of these jobs here before they start."""
        return ()

    @abstractmethod
    def run(self, jobs: Sequence[Job], report: Report) -> None:
        """Run every job and store a result of each, whatever happens to it.

        A run that another command has at the same time is left to it, and its result awaited. A run
        that is asked to stop ends with the event ``Stopped`` and without a result.

        Args:
            jobs: The runs.
            report: Takes their events, from any thread.

        Raises:
            KeyboardInterrupt: The command was stopped; its runs can be resumed.
            UserError: No result can be written.
        """


def _check(loaded: object) -> type[Executor]:
    if not (isinstance(loaded, type) and issubclass(loaded, Executor)):
        raise TypeError(f"not a subclass of sparsebench.execution.executors.Executor: {loaded!r}")
    return loaded


EXECUTORS: Registry[type[Executor]] = Registry(
    "sparsebench.executors", kind="executor", check=_check
)
"""The installed executors, by the name that users type."""
