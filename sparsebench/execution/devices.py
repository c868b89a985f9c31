"""The devices of this machine: resolve a name, ask for free memory, choose the precision."""

from __future__ import annotations

import re

import torch

from sparsebench.errors import suggestion
from sparsebench.execution.free_memory import free_memory

_KNOWN = ("auto", "cpu", "cuda", "meta", "mps", "xpu")


class NoDeviceError(Exception):
    """A device that cannot be used on this machine; the message says why."""


def resolve(name: str) -> torch.device:
    """Return the device with a name.

    Args:
        name: ``auto`` (the first GPU, or else the CPU), ``cpu``, ``cuda``, ``cuda:1``, ``meta`` ...

    Raises:
        NoDeviceError: The name is unknown, or this machine has no such device.
    """
    kind, _, number = name.partition(":")
    if kind not in _KNOWN or not re.fullmatch(r"\d*", number):
        raise NoDeviceError(f"unknown device {name!r}{suggestion(kind, _KNOWN)}")
    if kind == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if kind in {"cpu", "meta"}:
        return torch.device(kind)
    accelerator = torch.accelerator.current_accelerator()
    if accelerator is None or accelerator.type != kind or not torch.accelerator.is_available():
        raise NoDeviceError(f"torch finds no {kind} device on this machine")
    count = torch.accelerator.device_count()
    if int(number or 0) >= count:
        raise NoDeviceError(f"{name}: this machine has {count} {kind} devices, numbered from 0")
    return torch.device(kind, int(number or 0))


def free_bytes(device: torch.device) -> int | None:
    """Return the free memory of a device in bytes, or None if the system does not report it."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type != "cpu":
        return None
    return free_memory()


def training_precision(name: str, device: torch.device) -> str:
    """Return the precision to train in: ``auto`` is bf16 on a GPU that supports it, else fp32."""
    if name != "auto":
        return name
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
