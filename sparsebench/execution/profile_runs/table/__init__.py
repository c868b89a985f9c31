"""Rows of costs as a table: for a terminal, as Markdown, CSV or JSON."""

from __future__ import annotations

from sparsebench.execution.profile_runs.table.formats import FORMATS, TerminalCosts

__all__ = ["FORMATS", "TerminalCosts"]
