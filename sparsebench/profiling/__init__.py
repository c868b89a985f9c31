"""Measure the costs of a deployed model: parameters, multiply-adds, time and memory."""

from __future__ import annotations

from sparsebench.profiling.inference import DummyData, dummy_batch, dummy_inputs
from sparsebench.profiling.latency import QUICK, TimingBudget
from sparsebench.profiling.memory import MemoryTracker
from sparsebench.profiling.profile import ProfileOptions, profile

__all__ = [
    "QUICK",
    "DummyData",
    "MemoryTracker",
    "ProfileOptions",
    "TimingBudget",
    "dummy_batch",
    "dummy_inputs",
    "profile",
]
