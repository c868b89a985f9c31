"""Suites: the tasks, models, methods and terms of a comparison, read from YAML files."""

from __future__ import annotations

from sparsebench.suite.schema import (
    RESERVED,
    SECTIONS,
    MethodEntry,
    Suite,
    TaskEntry,
    Tuning,
    cells,
    training_for,
)

__all__ = [
    "RESERVED",
    "SECTIONS",
    "MethodEntry",
    "Suite",
    "TaskEntry",
    "Tuning",
    "cells",
    "training_for",
]
