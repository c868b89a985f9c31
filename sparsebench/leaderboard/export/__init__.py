"""Results in the formats of other programs: a flat Parquet file, a Hugging Face model card."""

from __future__ import annotations

from sparsebench.leaderboard.export.model_card import model_card
from sparsebench.leaderboard.export.parquet import flat_table, write_parquet

__all__ = ["flat_table", "model_card", "write_parquet"]
