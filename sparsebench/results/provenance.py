"""Where and with what a run was made."""

from __future__ import annotations

import datetime as dt
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from sparsebench.results.costs import Device
from sparsebench.results.records import Provenance
from sparsebench.version import __version__

if TYPE_CHECKING:
    import torch

PACKAGES = (
    "torch",
    "transformers",
    "accelerate",
    "peft",
    "datasets",
    "tokenizers",
    "safetensors",
    "numpy",
    "scipy",
    "scikit-learn",
    "fvcore",
)
"""Packages that can change a number."""


def provenance(
    *,
    command: str,
    device: torch.device,
    precision: str,
    data_origin: str,
    model_origin: str,
    method_package: str,
) -> Provenance:
    """Describes this process, this machine and this moment."""
    import torch

    name, _, version = method_package.partition(" ")
    found = {package: metadata.version(package) for package in PACKAGES}
    return Provenance(
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        command=command,
        versions={"python": platform.python_version(), "sparsebench": __version__, **found}
        | ({name: version} if name not in ("", "sparsebench") else {}),
        git=git_state(),
        device=describe_device(device).title,
        platform=f"{platform.system()} {platform.machine()}",
        threads=torch.get_num_threads(),
        precision=precision,
        data_origin=data_origin,
        model_origin=model_origin,
    )


def git_state() -> str | None:
    """Return the commit that the package runs from, or None outside a checkout."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None


def describe_device(device: torch.device) -> Device:
    """Return the record of a device, with its maker's name."""
    import torch

    on_cuda = device.type == "cuda"
    return Device(
        type=device.type,
        name=torch.cuda.get_device_name(device) if on_cuda else _processor_name(),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
    )


def _processor_name() -> str:
    try:
        named = re.search(
            r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(errors="replace")
        )
    except OSError:
        named = None
    return named[1].strip() if named else platform.processor() or platform.machine()
