"""Measure all costs of a deployed model; a part that fails leaves the others alone."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import torch

from sparsebench.errors import one_line
from sparsebench.profiling.activations import measure_activations, skipped_multiply_adds
from sparsebench.profiling.closed_form import closed_form
from sparsebench.profiling.energy import measure_energy, other_processes
from sparsebench.profiling.flops import count_flops
from sparsebench.profiling.generation import count_generation
from sparsebench.profiling.generation_latency import generation_latency
from sparsebench.profiling.inference import device_of, inference, runnable_device, shapes_of
from sparsebench.profiling.latency import QUICK, TimingBudget
from sparsebench.profiling.memory import activation_peak, weight_bytes
from sparsebench.profiling.parameters import count_parameters
from sparsebench.profiling.runtime_costs import measure_runtimes
from sparsebench.profiling.runtimes.dense import Dense
from sparsebench.results.costs import Costs, Memory
from sparsebench.results.provenance import describe_device

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

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
"""The runtime that every model is measured under."""

PHASES = {
    "parameters": "parameters",
    "density": "activation density",
    "flops": "multiply-adds",
    "latency": "latency",
    "generation": "generation",
    "energy": "energy",
    "activations": "memory",
}
"""The parts of a profile in the order of measurement, and their names for a display."""

T = TypeVar("T")


@dataclass(frozen=True)
class ProfileOptions:
    """The choice of measurements besides parameters, multiply-adds, latency and memory.

    Attributes:
        runtimes: Runtimes by name, besides ``dense``; None for no record of runtimes.
        activation_batches: Batches to measure activation density on; empty for no such figure.
        activation_data: A description of these batches.
        new_tokens: New tokens to measure generation for; 0 for no such figure.
        energy: Whether to read the energy counter of the device.
        known: Costs of the same model on sequences of the same length: parts that do not depend on
            the batch size are taken from them.
        timed: Costs of a model of the same shapes under the same conditions and runtimes: latency
            and the memory of the forward pass are taken from them.
    """

    runtimes: Mapping[str, Runtime] | None = None
    activation_batches: Sequence[Mapping[str, Tensor]] = ()
    activation_data: str = ""
    new_tokens: int = 0
    energy: bool = False
    known: Costs | None = None
    timed: Costs | None = None


def profile(
    model: nn.Module,
    *,
    inputs: Mapping[str, Tensor],
    reference: nn.Module | None = None,
    head: Collection[str] = (),
    trainable: int | None = None,
    folder: Path | None = None,
    training: MemoryPeak | None = None,
    timing: TimingBudget = QUICK,
    options: ProfileOptions = ProfileOptions(),
    on_phase: Callable[[str], None] = lambda _: None,
) -> Costs:
    """Measure a deployed model on one batch of inputs; arithmetic on its first sequence only.

    Args:
        model: The deployed model, on the device of the measurement.
        inputs: The tensors of one forward pass, by keyword, on the same device.
        reference: The untouched backbone with its head, on the same device; latency and sparsity
            are relative to it.
        head: Names of the parameters of the task head.
        trainable: Parameters that were trained, without the head.
        folder: The deployed folder.
        training: The peak of memory in training.
        timing: The time to spend on latency.
        options: What else to measure.
        on_phase: Called with the name of each part before it is measured.

    Returns:
        The costs. A part that could not be measured is None, and ``missing`` says why.
    """
    attempt = _Attempts(on_phase)
    parameters = attempt(
        "parameters",
        lambda: count_parameters(
            model, head=head, trainable=trainable, reference=reference, folder=folder
        ),
    )
    density = attempt("density", lambda: _density(model, options))
    flops = attempt("flops", lambda: _flops(model, inputs, density, options))
    runtimes = attempt(
        "latency",
        lambda: _runtimes(
            model, inputs, reference=reference, flops=flops, timing=timing, options=options
        ),
    )
    generation = energy = None
    if options.new_tokens:
        generation = attempt(
            "generation", lambda: _generation(model, reference, inputs, timing, options.new_tokens)
        )
    if options.energy:
        energy = attempt("energy", lambda: _energy(model, reference, inputs))
    activations = attempt("activations", lambda: _activation_peak(model, inputs, options))
    device = device_of(model)
    return Costs(
        device=describe_device(device).model_copy(update={"others": other_processes(device)}),
        dtype=_dtype(model),
        attention=getattr(getattr(model, "config", None), "_attn_implementation", None),
        parameters=parameters,
        density=density,
        flops=flops,
        latency=runtimes[0].latency if runtimes else None,
        runtimes=runtimes if runtimes and options.runtimes is not None else (),
        generation=generation,
        energy=energy,
        memory=Memory(
            weights=weight_bytes(model),
            activations=activations,
            training=training,
            shapes=shapes_of(inputs),
        ),
        missing=attempt.missing,
    )


@dataclass
class _Attempts:
    """Measurements that may fail, and the reasons of those that did."""

    on_phase: Callable[[str], None]
    missing: dict[str, str] = field(default_factory=dict)

    def __call__(self, part: str, measure: Callable[[], T]) -> T | None:
        self.on_phase(PHASES[part])
        try:
            return measure()
        except Exception as error:  # noqa: BLE001 - a model may fail in any way
            self.missing[part] = one_line(error)
            return None


def _density(model: nn.Module, options: ProfileOptions) -> Activations | None:
    if options.known is not None:
        return options.known.density
    if not options.activation_batches:
        return None
    return measure_activations(model, options.activation_batches, data=options.activation_data)


def _flops(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    density: Activations | None,
    options: ProfileOptions,
) -> Flops:
    if options.known is not None and options.known.flops is not None:
        return options.known.flops
    flops = count_flops(model, {name: tensor[:1] for name, tensor in inputs.items()})
    if density is None or flops.matrix_nonzero is None:
        return flops
    effective = flops.matrix_nonzero - skipped_multiply_adds(model, flops.shapes, density)
    return flops.model_copy(update={"matrix_effective": effective})


def _runtimes(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    *,
    reference: nn.Module | None,
    flops: Flops | None,
    timing: TimingBudget,
    options: ProfileOptions,
) -> tuple[RuntimeCost, ...]:
    """Measure the model under ``dense``, which comes first, and under each requested runtime."""
    runnable_device(model)
    runtimes: dict[str, Runtime] = {DENSE: Dense(), **(options.runtimes or {})}
    theoretical = _theoretical_speedups(reference, flops, runtimes)
    if options.timed is not None and options.timed.runtimes:
        return tuple(
            cost.model_copy(update={"theoretical": theoretical.get(cost.name)})
            for cost in options.timed.runtimes
        )
    costs = measure_runtimes(
        model,
        inputs,
        runtimes=runtimes,
        reference=reference,
        timing=timing,
        theoretical=theoretical,
    )
    if costs[0].reason is not None:
        raise RuntimeError(costs[0].reason)
    return costs


def _activation_peak(
    model: nn.Module, inputs: Mapping[str, Tensor], options: ProfileOptions
) -> MemoryPeak | None:
    if options.timed is not None and options.timed.memory is not None:
        return options.timed.memory.activations
    return activation_peak(model, inputs)


def _theoretical_speedups(
    reference: nn.Module | None, flops: Flops | None, runtimes: Mapping[str, Runtime]
) -> dict[str, float]:
    """Return the dense over the effective multiply-adds under each runtime."""
    if reference is None or flops is None or flops.matrix_nonzero is None:
        return {}
    dense = closed_form(reference, flops.shapes)
    if dense is None:
        return {}
    speedups = dict.fromkeys(runtimes, dense / flops.matrix_nonzero)
    for name, runtime in runtimes.items():
        if runtime.skips == "activations" and flops.matrix_effective:
            speedups[name] = dense / flops.matrix_effective
    return speedups


def _generation(
    model: nn.Module,
    reference: nn.Module | None,
    inputs: Mapping[str, Tensor],
    timing: TimingBudget,
    new_tokens: int,
) -> Generation | None:
    prompt = {name: tensor for name, tensor in inputs.items() if not name.startswith("decoder_")}
    counted = count_generation(model, prompt=prompt["input_ids"].shape[1], tokens=new_tokens)
    if counted is None:
        return None
    times = generation_latency({"": model}, prompt, reference=reference, timing=timing)
    prefill, token = times[""]
    return counted.model_copy(update={"prefill_latency": prefill, "token_latency": token})


def _energy(model: nn.Module, reference: nn.Module | None, inputs: Mapping[str, Tensor]) -> Energy:
    with ExitStack() as stack:
        for module in filter(None, (model, reference)):
            stack.enter_context(inference(module))
        return measure_energy(
            lambda: model(**inputs),
            reference=None if reference is None else lambda: reference(**inputs),
            device=device_of(model),
        )


def _dtype(model: nn.Module) -> str:
    """Return the type of most of the weights."""
    entries: Counter[torch.dtype] = Counter()
    for tensor in model.parameters():
        entries[tensor.dtype] += tensor.numel()
    most = entries.most_common(1)[0][0] if entries else torch.get_default_dtype()
    return str(most).removeprefix("torch.")
