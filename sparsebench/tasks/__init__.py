"""Tasks: their contract, the registry, and the built-in ones."""

from __future__ import annotations

from sparsebench.models.families import Form
from sparsebench.registry import Registry
from sparsebench.tasks.base import (
    Answer,
    DataSource,
    MissingDataError,
    NotApplicableError,
    Reference,
    Scores,
    Task,
    TaskData,
)

__all__ = [
    "TASKS",
    "Answer",
    "DataSource",
    "Form",
    "MissingDataError",
    "NotApplicableError",
    "Reference",
    "Scores",
    "Task",
    "TaskData",
]


def _check(loaded: object) -> Task:
    if not isinstance(loaded, Task):
        raise TypeError(f"not an instance of sparsebench.tasks.Task: {loaded!r}")
    return loaded


TASKS: Registry[Task] = Registry("sparsebench.tasks", kind="task", check=_check)
"""The tasks that are installed, by the name users type."""
