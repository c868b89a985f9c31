"""Suites: what is compared, on what terms; read from files so that every mistake has its line."""

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
