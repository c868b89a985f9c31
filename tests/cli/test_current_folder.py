"""Files of the current folder that are named like a library: never imported."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("json", "queue", "random", "numpy", "torch", "peft", "tqdm", "sparsebench")


def test_no_process_of_a_run_imports_them_or_leaves_a_semaphore(tmp_path: Path) -> None:
    folder, program = tmp_path / "work", tmp_path / "bin" / "sparsebench"
    for name in NAMES:
        file = folder / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"raise SystemExit('{name}.py of the current folder was imported')\n")
    program.parent.mkdir()
    program.write_text("from sparsebench.__main__ import main\nmain()\n")

    terms = ["--tasks", "toy-cola", "--set", "training.budget=2 steps", "--output", "out"]
    done = subprocess.run(
        [
            sys.executable,
            program,
            "run",
            "quick",
            "--methods",
            "lora",
            "--models",
            "quick/bert",
            *terms,
        ],
        cwd=folder,
        env={key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "✓ toy-cola" in said
    assert "of the current folder" not in said
    assert "leaked semaphore" not in said
