"""The break-even sparsity of every runtime, for the shapes of a suite's backbones."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import torch

from sparsebench.execution.profile_runs.devices import NoDeviceError, resolve
from sparsebench.execution.profile_runs.subjects import LABELS
from sparsebench.models import empty_backbone
from sparsebench.profiling.break_even import break_even
from sparsebench.profiling.device import describe
from sparsebench.profiling.runtimes import RUNTIMES
from sparsebench.results.profiles import BreakEvens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import nn

    from sparsebench.execution.profile_runs.subjects import Untrained
    from sparsebench.results.profiles import ProfileStore
    from sparsebench.schema.measuring import ProfileSettings


def break_evens(
    subjects: Sequence[Untrained],
    settings: ProfileSettings,
    *,
    store: ProfileStore,
    report: Callable[[str], None] = lambda _: None,
) -> Iterator[BreakEvens]:
    """Yields where runtimes begin to gain, for each backbone, device, type and shape of input.

    Args:
        subjects: The subjects, of which the backbones matter.
        settings: What is measured; every shape is named.
        store: What is there already, and where it is kept.
        report: Is told what comes next.
    """
    backbones = {subject.source.name: subject for subject in subjects}
    for name, subject in backbones.items():
        model = empty_backbone(subject.source, form=subject.form, labels=LABELS).model
        shapes = itertools.product(settings.lengths or (), settings.batch_sizes or ())
        for (length, batch_size), device, dtype in itertools.product(
            shapes, _devices(settings), settings.dtypes
        ):
            like = BreakEvens(
                model=name,
                device=describe(device),
                dtype=dtype,
                batch_size=batch_size,
                length=length,
                found=(),
            )
            report(f"{name} · break-even · {batch_size} x {length}")
            found = store.find_break_evens(like)
            if found is None:
                found = _measured(like, model, settings, device)
                store.write_break_evens(found)
            yield found


def _measured(
    like: BreakEvens, model: nn.Module, settings: ProfileSettings, device: torch.device
) -> BreakEvens:
    records = break_even(
        model,
        runtimes={name: RUNTIMES.get(name)() for name in settings.runtimes},
        tokens=like.batch_size * like.length,
        device=device,
        dtype=getattr(torch, like.dtype),
    )
    return like.model_copy(update={"found": tuple(records)})


def _devices(settings: ProfileSettings) -> list[torch.device]:
    """Returns the devices that can be used; rows say why others cannot."""
    devices = []
    for name in settings.devices:
        try:
            device = resolve(name)
        except NoDeviceError:
            continue
        if device.type != "meta":
            devices.append(device)
    return devices
