"""Measure the costs of a deployed model: parameters, multiply-adds, time and memory."""

from __future__ import annotations

from sparsebench.profiling.inference import dummy_inputs
from sparsebench.profiling.latency import QUICK, TimingBudget
from sparsebench.profiling.memory import MemoryTracker
from sparsebench.profiling.profile import ProfileOptions, profile

__all__ = ["QUICK", "MemoryTracker", "ProfileOptions", "TimingBudget", "dummy_inputs", "profile"]
