"""Times forward passes, interleaved round by round with the untouched backbone.

Seconds depend on the machine and on what else it does at the moment. The ratio of two forward
passes that ran one right after the other depends on neither nearly as much, so that it is the
headline, with an interval. Rounds are made in a few blocks. Between them the weights move to fresh
memory, so that the interval knows of that too.
"""

from __future__ import annotations

import gc
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from sparsebench.results.latency import Latency, ratio_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sparsebench.results.costs import Shapes

    Forward = Callable[[], object]
    Stopwatch = Callable[[Forward], float]

BLOCKS = 6
"""Blocks that rounds are made in; with fewer, Student's quantile grows, with more, blocks get so
short that neighbours are alike."""

_FEWEST_ROUNDS = 3
_LONG = 0.5
"""Seconds of a round beside which cold caches do not show: one is warm-up enough."""


@dataclass(frozen=True)
class TimingBudget:
    """How long to measure. A round is one forward pass of the model and one of the reference.

    Attributes:
        warmup: Rounds that are not recorded; a single one where it takes long.
        rounds: Recorded rounds at least, unless ``limit`` ends them.
        seconds: Seconds to measure at least.
        limit: Seconds after which no round is begun, once there are three.
    """

    warmup: int = 3
    rounds: int = 20
    seconds: float = 2.0
    limit: float = 60.0

    def spent(self, turns: int, seconds: float) -> float:
        """Returns the share of the effort that so many rounds in so many seconds are."""
        asked = min(turns / self.rounds, seconds / self.seconds if self.seconds else 1.0)
        if turns < _FEWEST_ROUNDS:
            return min(asked, turns / _FEWEST_ROUNDS)
        return max(asked, seconds / self.limit if self.limit else 1.0)


QUICK = TimingBudget(warmup=2, rounds=15, seconds=0.1, limit=0.6)
"""For tiny models, in a suite that shall end soon."""


def latency(
    forward: Forward,
    *,
    device: torch.device,
    shapes: Shapes,
    reference: Forward | None = None,
    effort: TimingBudget = TimingBudget(),
    between_blocks: Callable[[], None] | None = None,
) -> Latency:
    """Times ``forward``, and in the same rounds the reference; see ``latencies``."""
    times = latencies(
        {"": forward},
        device=device,
        shapes=shapes,
        reference=reference,
        effort=effort,
        between_blocks=between_blocks,
    )
    return times[""]


def latencies(
    forwards: Mapping[str, Forward],
    *,
    device: torch.device,
    shapes: Shapes,
    reference: Forward | None = None,
    effort: TimingBudget = TimingBudget(),
    between_blocks: Callable[[], None] | None = None,
) -> dict[str, Latency]:
    """Times several forward passes, and in the same rounds the reference.

    In every other round the order is turned around, so that none gains from its place.

    Args:
        forwards: Forward passes by name.
        device: Where they run.
        shapes: The inputs that they run on, for the record.
        reference: One forward pass of the untouched backbone on the same inputs.
        effort: How long to measure.
        between_blocks: Is called before each block of rounds; what it takes is not measured.
    """
    calls = [*forwards.values(), *([reference] if reference else [])]
    samples, blocks = _measure(calls, _stopwatch(device), effort, between_blocks)
    if len(blocks) < _FEWEST_ROUNDS:  # the limit has ended them early
        blocks = [1] * sum(blocks)
    reference_samples = tuple(samples[-1]) if reference else ()

    def record(times: tuple[float, ...]) -> Latency:
        return Latency(
            samples=times,
            reference_samples=reference_samples,
            blocks=tuple(blocks),
            clock="cuda-event" if device.type == "cuda" else "monotonic",
            threads=torch.get_num_threads(),
            shapes=shapes,
        )

    own = dict(zip(forwards, samples, strict=False))
    return {name: _with_interval(record(tuple(times))) for name, times in own.items()}


def _with_interval(record: Latency) -> Latency:
    interval = ratio_interval(record.ratios, record.blocks) if record.ratios else None
    return record.model_copy(update={"interval": interval})


def _measure(
    calls: list[Forward],
    stopwatch: Stopwatch,
    effort: TimingBudget,
    between_blocks: Callable[[], None] | None,
) -> tuple[list[list[float]], list[int]]:
    """Returns the samples of every call, and the rounds of each block."""
    samples: list[list[float]] = [[] for _ in calls]
    blocks: list[int] = []
    long = False
    for _ in range(effort.warmup):
        long = long or sum(map(stopwatch, calls)) > _LONG
        if long:
            break
    with _no_garbage_collection():
        for turn, block in _rounds(effort):
            if block == len(blocks):
                blocks.append(0)
                if between_blocks:
                    between_blocks()
                    if not long:
                        list(map(stopwatch, calls))
            order = range(len(calls)) if turn % 2 == 0 else reversed(range(len(calls)))
            for place in order:
                samples[place].append(stopwatch(calls[place]))
            blocks[-1] += 1
    return samples, blocks


def _rounds(effort: TimingBudget) -> Iterator[tuple[int, int]]:
    """Yields the number of every round, and of the block that it is in."""
    start = time.perf_counter()
    turn = block = reached = 0
    while (spent := effort.spent(turn, time.perf_counter() - start)) < 1:
        if int(spent * BLOCKS) > reached:
            reached, block = int(spent * BLOCKS), block + 1
        yield turn, block
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
