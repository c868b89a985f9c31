"""What is measured apart from forward passes: bytes on disk, peaks in processes of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from sparsebench.execution.profile_runs.subjects import Shipped
from sparsebench.execution.profile_runs.training_probe import training_peak
from sparsebench.profiling.memory_probe import fresh_inference_peak

if TYPE_CHECKING:
    from sparsebench.execution.profile_runs.conditions import Condition
    from sparsebench.execution.profile_runs.prepared import Made
    from sparsebench.execution.profile_runs.subjects import Untrained
    from sparsebench.results.costs import Costs
    from sparsebench.schema.measuring import ProfileSettings

LOADER = "sparsebench.deployed:load"


def with_peaks(
    costs: Costs,
    *,
    subject: Untrained | Shipped,
    ready: Made,
    condition: Condition,
    settings: ProfileSettings,
) -> Costs:
    """Returns costs with the bytes on disk, and with the peaks that were asked for.

    Args:
        costs: What was measured of the forward passes.
        subject: What it was measured of.
        ready: The same, made ready.
        condition: Where and on what.
        settings: What is measured.
    """
    memory, missing = costs.memory, dict(costs.missing)
    if memory is not None:
        on_cpu = condition.device == torch.device("cpu")
        if settings.fresh_memory and on_cpu and ready.folder:
            try:
                fresh = fresh_inference_peak(
                    ready.folder, loader=LOADER, shapes=memory.shapes, dtype=condition.spec.dtype
                )
                memory = memory.model_copy(update={"fresh": fresh})
            except RuntimeError as error:
                missing["fresh"] = str(error)
        if settings.training_memory and ready.folder and not isinstance(subject, Shipped):
            try:
                peak = training_peak(subject, condition)
                memory = memory.model_copy(update={"training": peak})
            except RuntimeError as error:
                missing["training"] = str(error)
    update = {"storage": ready.storage, "memory": memory, "missing": missing}
    return costs.model_copy(update=update)
