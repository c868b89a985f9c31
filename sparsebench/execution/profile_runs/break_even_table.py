"""The break-even sparsity of every runtime, for the shapes of a suite's backbones."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import torch

from sparsebench.execution.devices import NoDeviceError, resolve
from sparsebench.execution.profile_runs.profiled_models import LABELS
from sparsebench.models import empty_backbone
from sparsebench.profiling.break_even import break_even
from sparsebench.profiling.runtimes import RUNTIMES
from sparsebench.results.profiles import BreakEvens
from sparsebench.results.provenance import describe_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import nn

    from sparsebench.execution.profile_runs.profiled_models import UntrainedModel
    from sparsebench.results.profiles import ProfileStore
    from sparsebench.schema.measuring import ProfileSettings


def break_even_table(
    models: Sequence[UntrainedModel],
    settings: ProfileSettings,
    *,
    store: ProfileStore,
    report: Callable[[str], None] = lambda _: None,
) -> Iterator[BreakEvens]:
    """Yield the break-even sparsities of each backbone, device, type of weights and input shape.

    Args:
        models: The models of the suite, which name its backbones.
        settings: What to measure; every shape is given.
        store: Holds earlier results, which are not measured again, and gets the new ones.
        report: Called with a title before each measurement.
    """
    backbones = {model.source.name: model for model in models}
    shapes = list(itertools.product(settings.lengths or (), settings.batch_sizes or ()))
    for name, untrained in backbones.items():
        backbone = empty_backbone(untrained.source, form=untrained.form, labels=LABELS).model
        for (length, batch_size), device, dtype in itertools.product(
            shapes, _usable_devices(settings), settings.dtypes
        ):
            empty = BreakEvens(
                model=name,
                device=describe_device(device),
                dtype=dtype,
                batch_size=batch_size,
                length=length,
                found=(),
            )
            report(f"{name} · break-even · {batch_size} x {length}")
            found = store.find_break_evens(empty)
            if found is None:
                found = _measure(empty, backbone, settings, device)
                store.write_break_evens(found)
            yield found


def _measure(
    empty: BreakEvens, backbone: nn.Module, settings: ProfileSettings, device: torch.device
) -> BreakEvens:
    """Fill in a record that names a backbone and a shape."""
    records = break_even(
        backbone,
        runtimes={name: RUNTIMES.get(name)() for name in settings.runtimes},
        tokens=empty.batch_size * empty.length,
        device=device,
        dtype=getattr(torch, empty.dtype),
    )
    return empty.model_copy(update={"found": tuple(records)})


def _usable_devices(settings: ProfileSettings) -> list[torch.device]:
    """Return the devices of this machine; the rows of the profile say why others are missing."""
    devices = []
    for name in settings.devices:
        try:
            device = resolve(name)
        except NoDeviceError:
            continue
        if device.type != "meta":
            devices.append(device)
    return devices
