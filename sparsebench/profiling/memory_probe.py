"""The memory peak of inference in a fresh process.

``python -m sparsebench.profiling.memory_probe`` prints the record; `fresh_inference_peak` runs it.
A fresh interpreter needs seconds for its imports, so that this is measured only on request.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from sparsebench.profiling.inference import dummy_inputs, inference
from sparsebench.profiling.memory import MemoryTracker
from sparsebench.results.costs import MemoryPeak

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsebench.results.costs import Shapes


def fresh_inference_peak(
    folder: Path,
    *,
    loader: str,
    shapes: Shapes,
    device: str = "cpu",
    dtype: str = "float32",
) -> MemoryPeak:
    """Measure the growth during loading of a deployed folder and one forward pass.

    Args:
        folder: The deployed folder.
        loader: The function that loads it, as ``"package.module:function"``: it takes the folder
            and returns the model on the CPU.
        shapes: The inputs of the forward pass; their lengths and batch size are used.
        device: The device to run on.
        dtype: The type that weights are converted to, such as ``bfloat16``.

    Raises:
        RuntimeError: The process failed; the message is the last line of its output.
    """
    batch_size, length = shapes["input_ids"]
    target = shapes.get("decoder_input_ids", (batch_size, length))[1]
    sizes = [str(size) for size in (batch_size, length, target)]
    command = [sys.executable, "-P", "-m", __name__, str(folder), loader, device, dtype, *sizes]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            (done.stderr.strip().splitlines() or ["the process ended without a message"])[-1]
        )
    return MemoryPeak.model_validate_json(done.stdout.strip().splitlines()[-1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Load a folder, run one forward pass, and print the peak as JSON."""
    parser = argparse.ArgumentParser(description="Measure the peak memory of inference.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("loader", help="package.module:function")
    parser.add_argument("device")
    parser.add_argument("dtype")
    parser.add_argument("batch_size", type=int)
    parser.add_argument("length", type=int)
    parser.add_argument("target_length", type=int)
    given = parser.parse_args(arguments)

    module, _, function = given.loader.partition(":")
    load = getattr(importlib.import_module(module), function)
    tracker = MemoryTracker(given.device)
    with tracker.track():
        model = load(given.folder).to(given.device, getattr(torch, given.dtype))
        inputs = dummy_inputs(
            model.config,
            batch_size=given.batch_size,
            length=given.length,
            target_length=given.target_length,
            device=given.device,
        )
        with inference(model):
            model(**inputs)
    sys.stdout.write(tracker.peak.model_dump_json() + "\n")


if __name__ == "__main__":
    main()
