"""Measures all costs of a deployed model; a part that fails leaves the others alone."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch

from sparsebench.profiling.device import describe
from sparsebench.profiling.flops import flops
from sparsebench.profiling.inference import inference, shapes_of
from sparsebench.profiling.latency import QUICK, Effort, latency
from sparsebench.profiling.memory import MemoryTracker, weight_bytes
from sparsebench.profiling.parameters import parameters
from sparsebench.results.costs import Costs, Latency, Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from torch import nn

    from sparsebench.results.costs import MemoryPeak


def profile(
    model: nn.Module,
    *,
    inputs: Mapping[str, torch.Tensor],
    reference: nn.Module | None = None,
    head: Collection[str] = (),
    trainable: int | None = None,
    folder: Path | None = None,
    training: MemoryPeak | None = None,
    effort: Effort = QUICK,
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

    Returns:
        The costs. A part that could not be measured is None, and ``missing`` says why.
    """
    measures: dict[str, Callable[[], object]] = {
        "parameters": lambda: parameters(
            model, head=head, trainable=trainable, reference=reference, folder=folder
        ),
        "flops": lambda: flops(model, _one_sequence(inputs)),
        "latency": lambda: _latency(model, reference, inputs, effort=effort),
        "activations": lambda: _activations(model, inputs),
    }
    measured: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for name, measure in measures.items():
        try:
            measured[name] = measure()
        except Exception as error:  # noqa: BLE001 - whatever it is, it becomes the reason
            missing[name] = f"{type(error).__name__}: {error}".splitlines()[0]
    memory = Memory(
        weights=weight_bytes(model),
        activations=measured.pop("activations", None),
        training=training,
        shapes=shapes_of(inputs),
    )
    return Costs(
        device=describe(_device(model)),
        dtype=_dtype(model),
        attention=getattr(getattr(model, "config", None), "_attn_implementation", None),
        memory=memory,
        missing=missing,
        **measured,
    )


def _latency(
    model: nn.Module,
    reference: nn.Module | None,
    inputs: Mapping[str, torch.Tensor],
    *,
    effort: Effort,
) -> Latency:
    device = _runnable_device(model)
    with ExitStack() as stack:
        for module in filter(None, (model, reference)):
            stack.enter_context(inference(module))
        return latency(
            lambda: model(**inputs),
            reference=None if reference is None else lambda: reference(**inputs),
            device=device,
            shapes=shapes_of(inputs),
            effort=effort,
        )


def _activations(model: nn.Module, inputs: Mapping[str, torch.Tensor]) -> MemoryPeak:
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
        raise ValueError("a model without values cannot run")
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
