"""The command line in a process of its own, as a shell starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LONGEST = 300
"""Seconds that a command may take."""


def start(*arguments: str, cwd: Path, **variables: str) -> subprocess.Popen[str]:
    """Starts ``sparsebench`` in a group of processes of its own, without data.

    Args:
        arguments: What is typed behind its name.
        cwd: The working directory.
        variables: What is set besides the variables of this process.
    """
    inherited = {k: v for k, v in os.environ.items() if k != "SPARSEBENCH_DATA"}
    return subprocess.Popen(
        [sys.executable, "-m", "sparsebench", *arguments],
        cwd=cwd,
        env={**inherited, "COLUMNS": "120", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def sparsebench(*arguments: str, cwd: Path, **variables: str) -> tuple[int, str]:
    """Runs ``sparsebench``; returns its exit code, and what it has printed."""
    process = start(*arguments, cwd=cwd, **variables)
    output, _ = process.communicate(timeout=LONGEST)
    return process.returncode, output
