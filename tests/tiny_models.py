"""Tiny random backbones of every kind, and inputs for them: those that methods are checked on."""

from __future__ import annotations

from sparsebench.conformance.backbones import KINDS, VOCABULARY, tiny_backbone, tiny_batch

__all__ = ["KINDS", "VOCABULARY", "tiny_backbone", "tiny_batch"]
