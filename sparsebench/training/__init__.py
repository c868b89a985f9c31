"""Training and prediction: one loop on ``transformers.Trainer`` for every method."""

from __future__ import annotations

from sparsebench.training.loop import Selection, train
from sparsebench.training.trainer import DivergedError

__all__ = ["DivergedError", "Selection", "train"]
