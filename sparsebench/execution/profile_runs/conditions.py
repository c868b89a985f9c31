"""The conditions that a subject is measured under, in the order that they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from sparsebench.execution.profile_runs.devices import NoDeviceError, resolve
from sparsebench.execution.profile_runs.subjects import Shipped
from sparsebench.profiling.device import describe
from sparsebench.results.profiles import ProfileSpec
from sparsebench.schema.measuring import CostSettings, ProfileSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sparsebench.execution.profile_runs.subjects import Untrained


@dataclass(frozen=True)
class Condition:
    """Where and on what a subject is measured.

    Attributes:
        spec: All of it, as it is recorded.
        device: The device, or None where it cannot be used.
        reason: Why it cannot be.
    """

    spec: ProfileSpec
    device: torch.device | None
    reason: str | None = None

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        dtype: torch.dtype = getattr(torch, self.spec.dtype)
        return dtype


def settings_of(
    settings: ProfileSettings | None, costs: CostSettings | None = None
) -> ProfileSettings:
    """Returns the section ``profile`` of a suite, what it leaves open as in its ``costs``."""
    settings, costs = settings or ProfileSettings(), costs or CostSettings()
    return settings.model_copy(
        update={
            "batch_sizes": settings.batch_sizes or (costs.batch_size,),
            "lengths": settings.lengths or (costs.length,),
            "target_length": settings.target_length or costs.target_length,
        }
    )


def conditions(subject: Untrained | Shipped, settings: ProfileSettings) -> Iterator[Condition]:
    """Yields the conditions of a subject, small batches before large ones."""
    for name in settings.devices:
        device, reason = _device(name)
        for dtype in settings.dtypes:
            for length in settings.lengths or ():
                for batch_size in sorted(settings.batch_sizes or ()):
                    hardware = "" if device is None else _hardware(device)
                    spec = ProfileSpec(
                        **_subject(subject, settings),
                        device=name,
                        hardware=hardware,
                        dtype=dtype,
                        batch_size=batch_size,
                        length=length,
                        target_length=settings.target_length or 1,
                        runtimes=settings.runtimes,
                        generate=settings.generate,
                    )
                    yield Condition(spec, device, reason)


def _device(name: str) -> tuple[torch.device | None, str | None]:
    try:
        return resolve(name), None
    except NoDeviceError as error:
        return None, str(error)


def _hardware(device: torch.device) -> str:
    if device.type == "meta":
        return "none"
    name = describe(device).name
    return f"{name}, {torch.get_num_threads()} threads" if device.type == "cpu" else name


def _subject(subject: Untrained | Shipped, settings: ProfileSettings) -> dict[str, object]:
    if isinstance(subject, Shipped):
        result, record = subject.result, subject.record
        return {
            "model": result.spec.model if result else str(subject.folder),
            "model_fingerprint": result.spec.model_fingerprint if result else "",
            "method": result.spec.method if result else None,
            "trained": True,
            "folder": subject.digest,
            "form": record.form.value,
            "attention": record.attention,
        }
    return {
        "model": subject.source.name,
        "model_fingerprint": subject.source.fingerprint,
        "method": subject.method,
        "trained": False,
        "form": subject.form.value,
        "attention": settings.attention,
    }
