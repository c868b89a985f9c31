"""What happens in the process of one run."""

from __future__ import annotations

import gc
import multiprocessing as mp
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, NoReturn

from sparsebench.errors import StoppedError, UserError
from sparsebench.execution.events import Finished, Progressed
from sparsebench.execution.executors.memory import limited_memory
from sparsebench.execution.executors.stop_signal import WRITE, StopSignal
from sparsebench.models.bundle import bundle_folder, forbid_network
from sparsebench.results.records import Status
from sparsebench.results.store import Store

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

    from sparsebench.execution.events import Event, Report
    from sparsebench.execution.executors.run_lock import RunLock
    from sparsebench.execution.job import Job, Outcome
    from sparsebench.results.records import RunResult
    from sparsebench.training.distributed import ProcessGroup

SECONDS_BETWEEN_EVENTS = 0.2


@dataclass(frozen=True)
class Resources:
    """What of the machine one process of a run gets.

    Attributes:
        threads: How many threads torch computes with.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        cores: The cores to stay on; none for all.
    """

    threads: int
    device: str
    cores: tuple[int, ...] = ()


@dataclass(frozen=True)
class Trained:
    """The deployed model is in the work folder, and a fresh process is to measure it."""


@dataclass(frozen=True)
class OutOfMemory:
    """The run has no memory left, and left no result: it is to be tried in smaller parts."""

    reason: str


@dataclass(frozen=True)
class RankFailed:
    """One of several processes of a run has failed, and left its row to who started them."""

    result: RunResult


@dataclass(frozen=True)
class StoreFailed:
    """The results folder takes no more."""

    reason: str


def work(
    job: Job,
    lock: RunLock,  # noqa: ARG001 - that it is here is what it does
    events: Connection,
    log: Path,
    *,
    resources: Resources,
    group: ProcessGroup,
    measure: bool = False,
) -> None:
    """Do one half of a run: train the model and deploy it, or measure it and write the result.

    A run that fails writes its result in either half.

    Args:
        job: The run to make.
        lock: The lock on the run, held for as long as this process lives.
        events: Takes events; the last is ``Trained``, ``Finished``, ``OutOfMemory``,
            ``RankFailed`` or ``StoreFailed``; none comes from a rank that has trained to the end.
        log: Takes all that is printed.
        resources: What of the machine to use.
        group: The processes that train together; a single one measures.
        measure: Which half. The process that measures has imported no code of the method.
    """
    began = time.perf_counter()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    stop_signal = StopSignal(listens=group.is_main)
    _follow_parent()
    _redirect(log)
    if bundle_folder():
        forbid_network()
    try:
        _use(resources)
        outcome = _half(job, stop_signal, events, group, measure=measure)
        if outcome is None:
            if group.is_main:
                events.send(Trained())
            _leave()
        result, reason = outcome.result, outcome.result.reason or ""
        out_of_memory = result.status is Status.OOM and not measure
        if out_of_memory and job.smaller(reason, devices=group.size):
            events.send(OutOfMemory(reason))
            _hold(group)
            return
        if result.status is not Status.OK and group.size > 1:
            events.send(RankFailed(result))
            _hold(group)
        stop_signal.enter(WRITE)
        Store(job.store).write(result, predictions=outcome.predictions, keep=outcome.keep)
    except StoppedError:
        return
    except UserError as error:
        events.send(StoreFailed(str(error)))
        _hold(group)
        return
    seconds = time.perf_counter() - began
    events.send(Finished(job.key, result.status.value, result.score, result.reason, seconds))


def _leave() -> NoReturn:
    """Ends a process that has done its part: how libraries end in it is nothing to the run."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _hold(group: ProcessGroup) -> None:
    """Stays until the parent ends all processes of the run, so that no other fails of this end."""
    if group.size > 1:
        threading.Event().wait()


def _half(
    job: Job, stop_signal: StopSignal, events: Connection, group: ProcessGroup, *, measure: bool
) -> Outcome | None:
    from sparsebench.execution.failures import failure
    from sparsebench.execution.run import measure_model, train_model

    gc.freeze()  # the preloaded libraries are here to stay: collecting garbage may skip them
    _silence_libraries()
    report = _throttled(events)

    def tell(event: Event) -> None:
        if not group.is_main:
            return
        if isinstance(event, Progressed):
            stop_signal.enter(event.phase)
        report(event)

    try:
        with limited_memory(job.limits.memory):
            if measure:
                return measure_model(job, tell)
            return train_model(job, tell, lambda: stop_signal.asked, group)
    except MemoryError as error:  # there was not even enough to tell of it
        return failure(job, error)


def _follow_parent() -> None:
    """Ends this process when the one that drives the runs is gone."""
    parent = mp.parent_process()
    if parent is None:
        return

    def follow() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _redirect(log: Path) -> None:
    with log.open("ab") as stream:
        for output in (sys.stdout, sys.stderr):
            output.flush()
            os.dup2(stream.fileno(), output.fileno())


def _use(resources: Resources) -> None:
    _choose_device(resources.device)
    if resources.cores:
        os.sched_setaffinity(0, resources.cores)
    import torch

    torch.set_num_threads(resources.threads)


def _choose_device(device: str) -> None:
    """Hides all accelerators but one; must come before torch first asks for them."""
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif device.startswith("cuda:"):
        os.environ["CUDA_VISIBLE_DEVICES"] = device.removeprefix("cuda:")
    else:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.partition(",")[0]


def _silence_libraries() -> None:
    import datasets
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()


def _throttled(events: Connection) -> Report:
    """Returns a report that drops what comes too fast, but for changes of phase."""
    last: dict[str, float] = {}

    def report(event: Event) -> None:
        now = time.perf_counter()
        phase = event.phase if isinstance(event, Progressed) else ""
        if now - last.get(phase, 0.0) >= SECONDS_BETWEEN_EVENTS:
            last[phase] = now
            events.send(event)

    return report
