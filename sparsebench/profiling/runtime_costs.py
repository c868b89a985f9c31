"""Run a deployed model under every runtime that supports it, beside the untouched backbone."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import torch

from sparsebench.errors import one_line
from sparsebench.errors.memory import out_of_memory
from sparsebench.profiling.inference import (
    device_of,
    inference,
    largest_difference,
    output_logits,
    shapes_of,
)
from sparsebench.profiling.latency import latencies, move_to_fresh_memory
from sparsebench.profiling.parameters import peft_base
from sparsebench.results.costs import RuntimeCost

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from sparsebench.profiling.latency import TimingBudget
    from sparsebench.profiling.runtimes import Runtime
    from sparsebench.results.costs import Latency

TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-9}
"""Largest difference that counts as equal, as a share of the largest output."""

_HALF_TOLERANCE = 2e-2


def measure_runtimes(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    *,
    runtimes: Mapping[str, Runtime],
    reference: nn.Module | None,
    timing: TimingBudget,
    theoretical: Mapping[str, float] | None = None,
) -> tuple[RuntimeCost, ...]:
    """Measure the latency of a deployed model under several runtimes, in the same rounds.

    Args:
        model: The deployed model, on the device of the measurement.
        inputs: The tensors of one forward pass, by keyword, on that device.
        runtimes: The runtimes by name.
        reference: The untouched backbone, on that device.
        timing: The time to spend.
        theoretical: The theoretical speed-up under each runtime, by its name.

    Returns:
        A record for each runtime; for one that cannot run the model, with the reason.
    """
    converted, reasons = _convert(model, runtimes)
    tolerance = TOLERANCES.get(_dtype(model), _HALF_TOLERANCE)
    exact = _logits(model, inputs)
    differences: dict[str, float] = {}
    for name, module in list(converted.items()):
        try:
            differences[name] = largest_difference(exact, _logits(module, inputs))
        except Exception as error:  # noqa: BLE001 - a kernel may refuse a shape in any way
            reasons[name] = one_line(error)
            del converted[name]
    times = _times(converted, inputs, reference=reference, timing=timing)
    return tuple(
        RuntimeCost(name=name, reason=reasons[name])
        if name in reasons
        else RuntimeCost(
            name=name,
            latency=times[name],
            theoretical=(theoretical or {}).get(name),
            difference=differences[name],
            tolerance=tolerance,
        )
        for name in runtimes
    )


def _convert(
    model: nn.Module, runtimes: Mapping[str, Runtime]
) -> tuple[dict[str, nn.Module], dict[str, str]]:
    """Return the converted models by runtime, and why others could not be converted."""
    device = device_of(model)
    converted: dict[str, nn.Module] = {}
    reasons: dict[str, str] = {}
    for name, runtime in runtimes.items():
        try:
            reason = runtime.refuses(model, device=device, dtype=_dtype(model))
            if reason is None:
                converted[name] = runtime.convert(model)
            else:
                reasons[name] = reason
        except Exception as error:  # a plugin may fail in any way
            if out_of_memory(error):
                raise
            reasons[name] = one_line(error)
    return converted, reasons


def _times(
    models: Mapping[str, nn.Module],
    inputs: Mapping[str, Tensor],
    *,
    reference: nn.Module | None,
    timing: TimingBudget,
) -> dict[str, Latency]:
    everything = [*models.values(), *([reference] if reference is not None else [])]

    def forward(module: nn.Module) -> object:
        return module(**inputs)

    with ExitStack() as stack:
        for module in everything:
            stack.enter_context(inference(module))
        return latencies(
            {name: lambda module=module: forward(module) for name, module in models.items()},  # type: ignore[misc]
            reference=None if reference is None else lambda: forward(reference),
            device=device_of(everything[0]) if everything else torch.device("cpu"),
            shapes=shapes_of(inputs),
            timing=timing,
            between_blocks=lambda: move_to_fresh_memory(everything),
        )


def _logits(model: nn.Module, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    with inference(model):
        return output_logits(model(**inputs))


def _dtype(model: nn.Module) -> torch.dtype:
    """Return the type of the embeddings, the largest matrix that no runtime changes."""
    tensor: Tensor = max(peft_base(model).parameters(), key=torch.numel)
    return tensor.dtype
