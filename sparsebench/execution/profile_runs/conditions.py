"""The conditions that a model is measured under: device, type of weights, batch and length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from sparsebench.execution.devices import NoDeviceError, resolve
from sparsebench.results.profiles import ProfileSpec
from sparsebench.results.provenance import describe_device
from sparsebench.schema.measuring import CostSettings, ProfileSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sparsebench.execution.profile_runs.profiled_models import ProfiledModel


@dataclass(frozen=True)
class Condition:
    """One condition.

    Attributes:
        spec: The condition as it is recorded.
        device: The device, or None if this machine cannot use it.
        reason: Why it cannot.
    """

    spec: ProfileSpec
    device: torch.device | None
    reason: str | None = None

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        dtype: torch.dtype = getattr(torch, self.spec.dtype)
        return dtype


def complete_settings(
    settings: ProfileSettings | None, costs: CostSettings | None = None
) -> ProfileSettings:
    """Return the section ``profile`` of a suite, with the shapes of ``costs`` as its defaults."""
    settings, costs = settings or ProfileSettings(), costs or CostSettings()
    return settings.model_copy(
        update={
            "batch_sizes": settings.batch_sizes or (costs.batch_size,),
            "lengths": settings.lengths or (costs.length,),
            "target_length": settings.target_length or costs.target_length,
        }
    )


def conditions(profiled: ProfiledModel, settings: ProfileSettings) -> Iterator[Condition]:
    """Yield the conditions of a model, small batches before large ones."""
    fields = profiled.spec_fields(settings.attention)
    for name in settings.devices:
        device, reason = _device(name)
        for dtype in settings.dtypes:
            for length in settings.lengths or ():
                for batch_size in sorted(settings.batch_sizes or ()):
                    spec = ProfileSpec(
                        **fields,
                        device=name,
                        hardware="" if device is None else _hardware(device),
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
    return describe_device(device).title
