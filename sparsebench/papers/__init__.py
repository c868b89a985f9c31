"""Published figures of papers, beside what is counted and measured here."""

from __future__ import annotations

from sparsebench.papers.published import (
    ExactFigure,
    Measure,
    Paper,
    PublishedStatement,
    PublishedTable,
    load_paper,
    papers,
)

__all__ = [
    "ExactFigure",
    "Measure",
    "Paper",
    "PublishedStatement",
    "PublishedTable",
    "load_paper",
    "papers",
]
