"""Executors: where runs are made."""

from __future__ import annotations

from sparsebench.execution.executors.base import EXECUTORS, Executor

__all__ = ["EXECUTORS", "Executor"]
