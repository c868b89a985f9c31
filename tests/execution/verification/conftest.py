"""A folder of results whose scores are those of their predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from factories import make_answered

from sparsebench.results.store import Store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two methods on MRPC and CoLA, two seeds each."""
    store = Store(tmp_path / "results")
    generator = np.random.default_rng(0)
    for task in ("mrpc", "cola"):
        right = [int(value) for value in generator.integers(0, 2, 60)]
        for method in ("full", "lora"):
            for seed in (1, 2):
                wrong = generator.random(60) < 0.2
                answers = [1 - r if w else r for r, w in zip(right, wrong, strict=True)]
                result, rows = make_answered(answers, right, task=task, method=method, seed=seed)
                store.write(result, predictions=rows)
    return store.root
