"""Time forward passes, interleaved round by round with the untouched backbone.

Seconds depend on the machine and its other load. The ratio of two forward passes that ran one right
after the other depends far less on either, so that it is the headline, with a confidence interval.
Rounds run in a few blocks. Between blocks the weights move to fresh memory, because the speed of a
product depends on where its weights lie, and a single placement would hide that from the interval.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter  # bound here: code of a plugin that replaces it has no effect
from typing import TYPE_CHECKING

import torch

from sparsebench.results.latency import Latency, ratio_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from torch import nn

    from sparsebench.results.costs import Shapes

    Forward = Callable[[], object]
    Stopwatch = Callable[[Forward], float]

BLOCKS = 6
"""Number of blocks. With fewer, Student's quantile grows; with more, blocks get so short that
consecutive ones are correlated."""

_FEWEST_ROUNDS = 3
_LONG = 0.5
"""Seconds of a round from which on cold caches are negligible, so that one is enough warm-up."""


@dataclass(frozen=True)
class TimingBudget:
    """The time to spend on a latency.

    A round is one forward pass of each model and one of the reference.

    Attributes:
        warmup: Rounds that are not recorded; only one if it takes long.
        rounds: The minimum of recorded rounds, unless ``limit`` is reached.
        seconds: The minimum of seconds.
        limit: Seconds after which no round starts, once there are three.
    """

    warmup: int = 3
    rounds: int = 20
    seconds: float = 2.0
    limit: float = 60.0

    def spent(self, turns: int, seconds: float) -> float:
        """Return the share of the budget that ``turns`` rounds in ``seconds`` have used."""
        asked = min(turns / self.rounds, seconds / self.seconds if self.seconds else 1.0)
        if turns < _FEWEST_ROUNDS:
            return min(asked, turns / _FEWEST_ROUNDS)
        return max(asked, seconds / self.limit if self.limit else 1.0)


QUICK = TimingBudget(warmup=2, rounds=15, seconds=0.1, limit=0.6)
"""For tiny models in a short suite."""


def latency(
    forward: Forward,
    *,
    device: torch.device,
    shapes: Shapes,
    reference: Forward | None = None,
    timing: TimingBudget = TimingBudget(),
    between_blocks: Callable[[], None] | None = None,
) -> Latency:
    """Time one forward pass, interleaved with the reference; see ``latencies``."""
    times = latencies(
        {"": forward},
        device=device,
        shapes=shapes,
        reference=reference,
        timing=timing,
        between_blocks=between_blocks,
    )
    return times[""]


def latencies(
    forwards: Mapping[str, Forward],
    *,
    device: torch.device,
    shapes: Shapes,
    reference: Forward | None = None,
    timing: TimingBudget = TimingBudget(),
    between_blocks: Callable[[], None] | None = None,
) -> dict[str, Latency]:
    """Time several forward passes in the same rounds, interleaved with the reference.

    Every other round runs in reverse order, so that no position is favoured.

    Args:
        forwards: Forward passes by name.
        device: The device that they run on.
        shapes: The shapes of their inputs, for the record.
        reference: One forward pass of the untouched backbone on the same inputs.
        timing: The time to spend.
        between_blocks: Called before each block of rounds; not part of the time.
    """
    calls = [*forwards.values(), *([reference] if reference else [])]
    samples, blocks = _measure(calls, _stopwatch(device), timing, between_blocks)
    if len(blocks) < _FEWEST_ROUNDS:  # the limit was reached early
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
    timing: TimingBudget,
    between_blocks: Callable[[], None] | None,
) -> tuple[list[list[float]], list[int]]:
    """Return the samples of every call, and the number of rounds in each block."""
    samples: list[list[float]] = [[] for _ in calls]
    blocks: list[int] = []
    long = False
    for _ in range(timing.warmup):
        long = long or sum(map(stopwatch, calls)) > _LONG
        if long:
            break
    with _no_garbage_collection():
        for turn, block in _rounds(timing):
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


def _rounds(timing: TimingBudget) -> Iterator[tuple[int, int]]:
    """Yield the number of every round, and that of its block."""
    start = perf_counter()
    turn = block = reached = 0
    while (spent := timing.spent(turn, perf_counter() - start)) < 1:
        if int(spent * BLOCKS) > reached:
            reached, block = int(spent * BLOCKS), block + 1
        yield turn, block
        turn += 1


def _stopwatch(device: torch.device) -> Stopwatch:
    """Return a function that runs a call to its end, on the device too, and returns its seconds."""
    if device.type == "cuda":
        return partial(_cuda_seconds, device)
    return _seconds if device.type == "cpu" else _synchronized_seconds


def _seconds(call: Forward) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start


def _synchronized_seconds(call: Forward) -> float:
    torch.accelerator.synchronize()
    start = perf_counter()
    call()
    torch.accelerator.synchronize()
    return perf_counter() - start


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


def move_to_fresh_memory(models: Iterable[nn.Module]) -> None:
    """Copy every dense parameter of some models to newly allocated memory."""
    seen: set[int] = set()
    for model in models:
        for parameter in model.parameters():
            plain = parameter.layout == torch.strided and type(parameter.data) is torch.Tensor
            if plain and id(parameter) not in seen:
                seen.add(id(parameter))
                parameter.data = parameter.data.clone(memory_format=torch.preserve_format)
