"""The command line as a user meets it: exit code, output and messages."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from sparsebench.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Said:
    """What came of a command."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """Runs ``sparsebench`` with arguments, in an empty working directory and without data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPARSEBENCH_DATA", raising=False)

    def call(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["sparsebench", *arguments])
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = capsys.readouterr()
        return Said(int(exit_.value.code or 0), captured.out, captured.err)

    return call
