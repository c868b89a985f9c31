"""The state of a training on disk: every parameter and buffer in safetensors, and notes in JSON.

The Trainer writes a checkpoint file by file, and resumes from an incomplete one as if it were at
the first step. So a checkpoint counts only once it is marked as complete.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

_COMPLETE = "whole.json"


def save_state(model: nn.Module, file: Path) -> None:
    """Write every parameter and buffer of a model, atomically."""
    from safetensors.torch import save_model

    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    save_model(model, str(partial))
    partial.replace(file)


def load_state(model: nn.Module, file: Path) -> None:
    """Load a state that ``save_state`` wrote into a model of the same structure."""
    from safetensors.torch import load_model

    load_model(model, str(file), strict=True)


def save_notes(notes: Any, file: Path) -> None:
    """Write a JSON value, atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_text(json.dumps(notes), encoding="utf-8")
    partial.replace(file)


def load_notes(file: Path) -> Any:
    """Read a JSON value; None if the file does not exist."""
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def mark_complete(checkpoint: Path) -> None:
    """Mark a checkpoint whose files are all written."""
    save_notes({}, checkpoint / _COMPLETE)


def last_checkpoint(folder: Path) -> Path | None:
    """Return the last complete checkpoint of a stage, and remove incomplete ones."""
    complete = []
    for checkpoint in folder.glob("checkpoint-*"):
        if (checkpoint / _COMPLETE).is_file():
            complete.append(checkpoint)
        else:
            shutil.rmtree(checkpoint)
    return max(complete, key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    """Return the steps of the stage that a checkpoint was written after."""
    return int(checkpoint.name.rpartition("-")[2])
