"""Suites: what is compared, on what terms; read from files so that every mistake has its line."""

from __future__ import annotations

from sparsebench.suite.schema import (
    RESERVED,
    MethodEntry,
    Suite,
    TaskEntry,
    Tuning,
    cells,
    training_for,
)

__all__ = ["RESERVED", "MethodEntry", "Suite", "TaskEntry", "Tuning", "cells", "training_for"]
