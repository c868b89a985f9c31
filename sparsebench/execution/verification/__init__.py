"""Checks stored results: that they are whole, belong together, and score what they say."""

from __future__ import annotations

from sparsebench.execution.verification.checks import Finding, Verdict, verify

__all__ = ["Finding", "Verdict", "verify"]
