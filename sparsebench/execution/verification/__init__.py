"""Checks stored results: that they are whole, belong together, and score what they say."""

from __future__ import annotations

from sparsebench.execution.verification.checks import Fault, VerifyReport, verify

__all__ = ["Fault", "VerifyReport", "verify"]
