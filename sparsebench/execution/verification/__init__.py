"""Verify stored results: complete files, consistent runs, and scores that can be recomputed."""

from __future__ import annotations

from sparsebench.execution.verification.checks import Fault, VerifyReport, verify

__all__ = ["Fault", "VerifyReport", "verify"]
