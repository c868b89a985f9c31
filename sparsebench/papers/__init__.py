"""What papers publish, and how it compares with what we measure."""

from __future__ import annotations

from sparsebench.papers.files import load_paper, papers
from sparsebench.papers.schema import Claim, ExactFigure, Measure, Paper, PublishedTable

__all__ = [
    "Claim",
    "ExactFigure",
    "Measure",
    "Paper",
    "PublishedTable",
    "load_paper",
    "papers",
]
