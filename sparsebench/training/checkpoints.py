"""The state of a training on disk: every parameter and buffer, in safetensors; what is whole of it.

The Trainer writes a checkpoint file by file, and goes on from one that lacks the last of them as if
it were at its first step. So a checkpoint counts only once it is marked as whole.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

_WHOLE = "whole.json"


def save_state(model: nn.Module, file: Path) -> None:
    """Writes every parameter and buffer of a model, whole or not at all."""
    from safetensors.torch import save_model

    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    save_model(model, str(partial))
    partial.replace(file)


def load_state(model: nn.Module, file: Path) -> None:
    """Reads back what ``save_state`` wrote, into a model of the same structure."""
    from safetensors.torch import load_model

    load_model(model, str(file), strict=True)


def save_notes(notes: Any, file: Path) -> None:
    """Writes a JSON value, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_text(json.dumps(notes), encoding="utf-8")
    partial.replace(file)


def load_notes(file: Path) -> Any:
    """Reads a JSON value; None where there is no file."""
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def mark_whole(checkpoint: Path) -> None:
    """Marks a checkpoint whose files are all written."""
    save_notes({}, checkpoint / _WHOLE)


def last_checkpoint(folder: Path) -> Path | None:
    """Returns the last whole checkpoint of a stage, and removes what was torn."""
    whole = []
    for checkpoint in folder.glob("checkpoint-*"):
        if (checkpoint / _WHOLE).is_file():
            whole.append(checkpoint)
        else:
            shutil.rmtree(checkpoint)
    return max(whole, key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    """Returns the steps of the stage that were done when a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])
