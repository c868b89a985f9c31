"""The global state of a process: observing it, and restoring it after a method has changed it."""

from __future__ import annotations

import os
import random
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.modules import module as modules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

State = dict[str, Any]
"""The observed values, by their names in messages."""


def _hooks() -> tuple[tuple[str, int], ...]:
    """Return every hook on all modules, with the registry that holds it."""
    registries = [name for name in vars(modules) if name.startswith("_global_")]
    held = {name: getattr(modules, name) for name in sorted(registries)}
    return tuple((name, key) for name, hooks in held.items() if hooks for key in hooks)


def _keep_hooks(kept: tuple[tuple[str, int], ...]) -> None:
    for name, key in set(_hooks()) - set(kept):
        del getattr(modules, name)[key]


def _set_environment(kept: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(kept)


def _set_filters(kept: tuple[Any, ...]) -> None:
    warnings.filters[:] = list(kept)  # type: ignore[index]


def _determinism() -> tuple[bool, ...]:
    backend = torch.backends.cudnn
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        backend.deterministic,
        backend.benchmark,
    )


def _set_determinism(kept: tuple[bool, ...]) -> None:
    torch.use_deterministic_algorithms(kept[0], warn_only=kept[1])
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = kept[2:]


_PARTS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "torch's default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "torch's default device": (torch.get_default_device, torch.set_default_device),
    "the gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "the anomaly mode": (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    "the deterministic flags": (_determinism, _set_determinism),
    "the precision of float32 products": (
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    "the number of torch's threads": (torch.get_num_threads, torch.set_num_threads),
    "the hooks on all modules": (_hooks, _keep_hooks),
    "the warnings filters": (lambda: tuple(warnings.filters), _set_filters),
    "the environment": (lambda: dict(os.environ), _set_environment),
    "the working folder": (os.getcwd, os.chdir),
}


def observe() -> State:
    """Return the current state."""
    return {name: get() for name, (get, _) in _PARTS.items()}


def changed(before: State) -> list[str]:
    """Return the names of the parts that have changed."""
    return [name for name, value in observe().items() if value != before[name]]


def random_states() -> dict[str, Any]:
    """Return the state of every global random generator of the CPU, in a form that compares."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 - the global generator is meant
    return {
        "torch": torch.random.get_rng_state().numpy().tobytes(),
        "random": random.getstate(),
        "numpy": (kind, np.asarray(keys).tobytes(), *rest),
    }


@contextmanager
def kept() -> Iterator[None]:
    """Restore everything at the end, random generators included."""
    before = observe()
    python, array = random.getstate(), np.random.get_state()  # noqa: NPY002 - see above
    try:
        with torch.random.fork_rng(), warnings.catch_warnings():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(array)  # noqa: NPY002 - see above
        for name in changed(before):
            _PARTS[name][1](before[name])
