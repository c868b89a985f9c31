"""Executors: the places where runs execute."""

from __future__ import annotations

from sparsebench.execution.executors.base import EXECUTORS, Executor

__all__ = ["EXECUTORS", "Executor"]
