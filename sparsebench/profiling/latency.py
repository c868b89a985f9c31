"""Times a forward pass, interleaved round by round with the untouched backbone.

Seconds depend on the machine and on what else it does at the moment. The ratio of two forward
passes that ran one right after the other depends on neither nearly as much, so that it is the
headline, with an interval.
"""

from __future__ import annotations

import gc
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from sparsebench.results.costs import Latency

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sparsebench.results.costs import Shapes

    Forward = Callable[[], object]
    Stopwatch = Callable[[Forward], float]

_RESAMPLES = 2000
_SEED = 0


@dataclass(frozen=True)
class Effort:
    """How long to measure. A round is one forward pass of the model and one of the reference.

    Attributes:
        warmup: Rounds that are not recorded.
        rounds: Recorded rounds at least, unless ``limit`` ends them.
        seconds: Seconds to measure at least.
        limit: Seconds after which no round is begun, once there are three.
    """

    warmup: int = 3
    rounds: int = 20
    seconds: float = 2.0
    limit: float = 60.0


QUICK = Effort(warmup=2, rounds=15, seconds=0.1, limit=0.6)
"""For tiny models, in a suite that shall end soon."""

_FEWEST_ROUNDS = 3


def latency(
    forward: Forward,
    *,
    device: torch.device,
    shapes: Shapes,
    reference: Forward | None = None,
    effort: Effort = Effort(),
) -> Latency:
    """Times ``forward``, and in the same rounds the reference.

    In every other round the reference runs first, so that neither gains from its place.

    Args:
        forward: One forward pass of the model.
        device: Where it runs.
        shapes: The inputs that it runs on, for the record.
        reference: One forward pass of the untouched backbone on the same inputs.
        effort: How long to measure.
    """
    stopwatch = _stopwatch(device)
    calls = [forward] if reference is None else [forward, reference]
    for _ in range(effort.warmup):
        for call in calls:
            stopwatch(call)
    samples: list[list[float]] = [[] for _ in calls]
    with _no_garbage_collection():
        for turn in _rounds(effort):
            order = range(len(calls)) if turn % 2 == 0 else reversed(range(len(calls)))
            for place in order:
                samples[place].append(stopwatch(calls[place]))
    record = Latency(
        samples=tuple(samples[0]),
        reference_samples=tuple(samples[1]) if reference else (),
        clock="cuda-event" if device.type == "cuda" else "monotonic",
        threads=torch.get_num_threads(),
        shapes=shapes,
    )
    return record.model_copy(update={"interval": ratio_interval(record.ratios)})


def ratio_interval(ratios: Sequence[float]) -> tuple[float, float] | None:
    """Returns the 95 % interval of the median of ``ratios``, by a seeded bootstrap over rounds.

    The interval speaks of the rounds that ran: it does not know of what a machine does differently
    an hour later. None for fewer than two rounds.
    """
    if len(ratios) < 2:  # noqa: PLR2004
        return None
    rounds = np.asarray(ratios)
    draws = np.random.default_rng(_SEED).integers(len(rounds), size=(_RESAMPLES, len(rounds)))
    low, high = np.quantile(np.median(rounds[draws], axis=1), [0.025, 0.975])
    return float(low), float(high)


def _rounds(effort: Effort) -> Iterator[int]:
    start = time.perf_counter()
    turn = 0
    while True:
        elapsed = time.perf_counter() - start
        enough = turn >= effort.rounds and elapsed >= effort.seconds
        late = turn >= _FEWEST_ROUNDS and elapsed >= effort.limit
        if enough or late:
            return
        yield turn
        turn += 1


def _stopwatch(device: torch.device) -> Stopwatch:
    """Returns what runs a call to its end, on the device too, and says how long it took."""
    if device.type == "cuda":
        return partial(_cuda_seconds, device)
    return _seconds if device.type == "cpu" else _synchronized_seconds


def _seconds(call: Forward) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _synchronized_seconds(call: Forward) -> float:
    torch.accelerator.synchronize()
    start = time.perf_counter()
    call()
    torch.accelerator.synchronize()
    return time.perf_counter() - start


def _cuda_seconds(device: torch.device, call: Forward) -> float:
    with torch.cuda.device(device):
        start, end = (_event() for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
    milliseconds: float = start.elapsed_time(end)
    return milliseconds / 1000


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
