"""Measures all costs of a deployed model; a part that fails leaves the others alone."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from sparsebench.errors import UserError, one_line
from sparsebench.profiling.activations import activations as measured_activations
from sparsebench.profiling.activations import skipped
from sparsebench.profiling.closed_form import closed_form
from sparsebench.profiling.device import describe
from sparsebench.profiling.energy import energy, other_processes
from sparsebench.profiling.flops import flops
from sparsebench.profiling.generation import generation
from sparsebench.profiling.generation_latency import writing_times
from sparsebench.profiling.inference import inference, shapes_of
from sparsebench.profiling.latency import QUICK, TimingBudget
from sparsebench.profiling.memory import MemoryTracker, weight_bytes
from sparsebench.profiling.parameters import parameters
from sparsebench.profiling.realised import realised
from sparsebench.profiling.runtimes.dense import Dense
from sparsebench.results.costs import Costs, Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from torch import nn

    from sparsebench.profiling.runtimes import Runtime
    from sparsebench.results.costs import (
        Activations,
        Energy,
        Flops,
        Generation,
        MemoryPeak,
        RuntimeCost,
    )

DENSE = "dense"
"""The runtime that every model runs under."""


@dataclass(frozen=True)
class ProfileOptions:
    """What to measure besides parameters, arithmetic, latency and memory.

    Attributes:
        runtimes: Runtimes by name, besides ``dense``; None for no record of any.
        density: Batches to measure the density of activations on; none for no such figure.
        density_data: What these batches are, in words.
        tokens: New tokens to count and time generation for; 0 for no such figure.
        energy: Whether to read the device's energy counter.
        known: Costs of the same model on sequences of the same length: what does not depend on the
            batch is taken over from them.
    """

    runtimes: Mapping[str, Runtime] | None = None
    density: Sequence[Mapping[str, torch.Tensor]] = ()
    density_data: str = ""
    tokens: int = 0
    energy: bool = False
    known: Costs | None = None


def profile(
    model: nn.Module,
    *,
    inputs: Mapping[str, torch.Tensor],
    reference: nn.Module | None = None,
    head: Collection[str] = (),
    trainable: int | None = None,
    folder: Path | None = None,
    training: MemoryPeak | None = None,
    effort: TimingBudget = QUICK,
    ask: ProfileOptions = ProfileOptions(),
) -> Costs:
    """Measures a deployed model on one batch of inputs, arithmetic on its first sequence alone.

    Args:
        model: The model as it ships, loaded on the device to measure on.
        inputs: The tensors of one forward pass, by keyword, on that device.
        reference: The untouched backbone with its head, on that device too: what latency is a
            ratio to, and what removed weights are missed from.
        head: Names of the parameters of the task head.
        trainable: Parameters that were trained, the head's apart.
        folder: Where the model was saved.
        training: The peak of memory while it was trained.
        effort: How long to time.
        ask: What else to measure.

    Returns:
        The costs. A part that could not be measured is None, and ``missing`` says why.
    """
    parts = _Parts()
    parts.measure(
        "parameters",
        lambda: parameters(
            model, head=head, trainable=trainable, reference=reference, folder=folder
        ),
    )
    density = parts.measure("density", lambda: _density(model, ask))
    counted = parts.measure("flops", lambda: _flops(model, inputs, density, ask))
    times = parts.measure(
        "latency", lambda: _times(model, reference, inputs, counted, effort=effort, ask=ask)
    )
    if times is not None:
        parts.measured["latency"] = times[0].latency
        parts.measured["runtimes"] = times if ask.runtimes is not None else ()
    if ask.tokens:
        parts.measure("generation", lambda: _generation(model, reference, inputs, effort, ask))
    if ask.energy:
        parts.measure("energy", lambda: _energy(model, reference, inputs))
    activations = parts.measure("activations", lambda: activation_peak(model, inputs))
    parts.measured.pop("activations", None)
    memory = Memory(
        weights=weight_bytes(model),
        activations=activations,
        training=training,
        shapes=shapes_of(inputs),
    )
    device = _device(model)
    return Costs(
        device=describe(device).model_copy(update={"others": other_processes(device)}),
        dtype=_dtype(model),
        attention=getattr(getattr(model, "config", None), "_attn_implementation", None),
        memory=memory,
        missing=parts.missing,
        **parts.measured,
    )


@dataclass
class _Parts:
    """The parts that were measured, and why others were not."""

    measured: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def measure(self, name: str, measure: Callable[[], Any]) -> Any:
        try:
            value = measure()
        except Exception as error:  # noqa: BLE001 - whatever it is, it becomes the reason
            self.missing[name] = one_line(error)
            return None
        self.measured[name] = value
        return value


def _density(model: nn.Module, ask: ProfileOptions) -> Activations | None:
    if ask.known is not None:
        return ask.known.density
    if not ask.density:
        return None
    return measured_activations(model, ask.density, data=ask.density_data)


def _flops(
    model: nn.Module,
    inputs: Mapping[str, torch.Tensor],
    density: Activations | None,
    ask: ProfileOptions,
) -> Flops:
    if ask.known is not None and ask.known.flops is not None:
        return ask.known.flops
    counted = flops(model, _one_sequence(inputs))
    effective = None
    if density is not None and counted.matrix_nonzero is not None:
        effective = counted.matrix_nonzero - skipped(model, counted.shapes, density)
    return counted.model_copy(update={"matrix_effective": effective})


def _times(
    model: nn.Module,
    reference: nn.Module | None,
    inputs: Mapping[str, torch.Tensor],
    counted: Flops | None,
    *,
    effort: TimingBudget,
    ask: ProfileOptions,
) -> tuple[RuntimeCost, ...]:
    """Returns the model as it is, first of all, and under each other runtime that was asked for."""
    _runnable_device(model)
    runtimes: dict[str, Runtime] = {DENSE: Dense(), **(ask.runtimes or {})}
    promised = _promised(reference, counted, runtimes)
    costs = realised(
        model,
        inputs,
        runtimes=runtimes,
        reference=reference,
        effort=effort,
        theoretical=promised,
    )
    if costs[0].reason is not None:
        raise RuntimeError(costs[0].reason)
    return costs


def _promised(
    reference: nn.Module | None, counted: Flops | None, runtimes: Mapping[str, Runtime]
) -> dict[str, float]:
    """Returns the speed-up that each runtime would have if time were multiply-adds that matter."""
    if reference is None or counted is None or counted.matrix_nonzero is None:
        return {}
    whole = closed_form(reference, counted.shapes)
    if whole is None:
        return {}
    promised = dict.fromkeys(runtimes, whole / counted.matrix_nonzero)
    for name, runtime in runtimes.items():
        if runtime.skips == "activations" and counted.matrix_effective:
            promised[name] = whole / counted.matrix_effective
    return promised


def _generation(
    model: nn.Module,
    reference: nn.Module | None,
    inputs: Mapping[str, torch.Tensor],
    effort: TimingBudget,
    ask: ProfileOptions,
) -> Generation | None:
    prompt = {name: tensor for name, tensor in inputs.items() if not name.startswith("decoder_")}
    length = prompt["input_ids"].shape[1]
    counted = generation(model, prompt=length, tokens=ask.tokens)
    if counted is None:
        return None
    reading, writing = writing_times({"": model}, prompt, reference=reference, effort=effort)[""]
    update = {"prefill_latency": reading, "token_latency": writing}
    return counted.model_copy(update=update)


def _energy(
    model: nn.Module, reference: nn.Module | None, inputs: Mapping[str, torch.Tensor]
) -> Energy:
    with ExitStack() as stack:
        for module in filter(None, (model, reference)):
            stack.enter_context(inference(module))
        return energy(
            lambda: model(**inputs),
            reference=None if reference is None else lambda: reference(**inputs),
            device=_device(model),
        )


def activation_peak(model: nn.Module, inputs: Mapping[str, torch.Tensor]) -> MemoryPeak:
    """Returns the growth of memory around one forward pass of a loaded model."""
    device = _runnable_device(model)
    with inference(model):
        model(**inputs)  # reads the weights in and builds what the libraries keep
        tracker = MemoryTracker(device)
        with tracker.track():
            model(**inputs)
    return tracker.peak


def _one_sequence(inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor[:1] for name, tensor in inputs.items()}


def _runnable_device(model: nn.Module) -> torch.device:
    device = _device(model)
    if device.type == "meta":
        raise UserError("a model without values cannot run")
    return device


def _device(model: nn.Module) -> torch.device:
    return next((tensor.device for tensor in model.parameters()), torch.device("cpu"))


def _dtype(model: nn.Module) -> str:
    """Returns the type that most of the weights have."""
    entries: Counter[torch.dtype] = Counter()
    for tensor in model.parameters():
        entries[tensor.dtype] += tensor.numel()
    most = entries.most_common(1)[0][0] if entries else torch.get_default_dtype()
    return str(most).removeprefix("torch.")
