"""Says on what machine something was measured."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import torch

from sparsebench.results.costs import Device


def describe(device: torch.device) -> Device:
    """Returns the device by its type and its maker's name."""
    return Device(
        type=device.type,
        name=torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
    )


def _processor() -> str:
    try:
        named = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        named = None
    return named[1].strip() if named else platform.processor() or platform.machine()
