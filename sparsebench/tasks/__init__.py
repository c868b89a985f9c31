"""Tasks: their contract, the registry, and the tasks of the package."""

from __future__ import annotations

from sparsebench.models.families import Form
from sparsebench.registry import Registry
from sparsebench.tasks.base import (
    DataSource,
    MissingDataError,
    NotApplicableError,
    Prediction,
    Reference,
    Scores,
    Task,
    TaskData,
)

__all__ = [
    "TASKS",
    "DataSource",
    "Form",
    "MissingDataError",
    "NotApplicableError",
    "Prediction",
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
"""The installed tasks, by the names that users write."""
