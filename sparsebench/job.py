"""One run to make, with all that a process on any machine needs to make it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sparsebench.results.store import run_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sparsebench.results.schema import RunResult
    from sparsebench.spec import CostSettings, RunSpec, Tuned
    from sparsebench.tasks.base import DataSource


@dataclass(frozen=True)
class Job:
    """One run to make.

    Attributes:
        spec: What decides its scores.
        suite: The suite it is made for.
        model: Where the backbone comes from, as the user named it.
        data: Where the data comes from.
        costs: The shapes that costs are measured with.
        store: The results folder.
        keep_model: Whether the deployed model stays beside the result.
        command: The command line, for the record.
        tuned: How the settings of the method were searched for; None where they were not.
    """

    spec: RunSpec
    suite: str
    model: str
    data: DataSource
    costs: CostSettings
    store: Path
    keep_model: bool = False
    command: str = ""
    tuned: Tuned | None = None

    @cached_property
    def key(self) -> str:
        """The key of the run."""
        return run_key(self.spec)


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes:
        result: The record.
        predictions: One row an example, with ``split``, ``id``, ``prediction``, ``reference``.
        keep: Name -> a file or folder that belongs beside the result.
    """

    result: RunResult
    predictions: Sequence[dict[str, Any]] = ()
    keep: dict[str, Path] = field(default_factory=dict)
