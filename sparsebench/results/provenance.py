"""Where and with what a run was made."""

from __future__ import annotations

import datetime as dt
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

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
        device=device_name(device),
        platform=f"{platform.system()} {platform.machine()}",
        threads=torch.get_num_threads(),
        precision=precision,
        data_origin=data_origin,
        model_origin=model_origin,
    )


def git_state() -> str | None:
    """Returns the commit that the package is run from, or None outside a checkout."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None


def device_name(device: torch.device) -> str:
    """Returns what the accelerator or the processor calls itself."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.partition(":")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    return f"{model.strip()}, {torch.get_num_threads()} threads"
