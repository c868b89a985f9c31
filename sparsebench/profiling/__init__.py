"""Measures what a deployed model costs: parameters, arithmetic, time and memory."""

from __future__ import annotations

from sparsebench.profiling.inference import dummy_inputs
from sparsebench.profiling.latency import QUICK, Effort
from sparsebench.profiling.memory import MemoryTracker
from sparsebench.profiling.profile import Ask, profile

__all__ = ["QUICK", "Ask", "Effort", "MemoryTracker", "dummy_inputs", "profile"]
