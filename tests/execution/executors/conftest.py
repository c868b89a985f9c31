"""What the tests of executors share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from executor_jobs import use_culprits

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns a results folder, where methods that misbehave are installed."""
    use_culprits(tmp_path / "site", monkeypatch)
    return tmp_path / "runs"
