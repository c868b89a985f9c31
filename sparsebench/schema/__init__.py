"""The data that a suite and a run consist of: immutable and validated."""

from __future__ import annotations
