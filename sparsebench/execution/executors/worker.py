"""The process of one run: it trains, evaluates, measures and writes the result."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from sparsebench.errors import StoppedError, UserError
from sparsebench.execution.events import Finished, Progressed, Stopped
from sparsebench.execution.executors.fork_server import end_with_parent
from sparsebench.execution.executors.resources import limited_memory
from sparsebench.execution.executors.stop_signal import WRITE, StopSignal
from sparsebench.models.bundle import bundle_folder, forbid_network
from sparsebench.results.records import Status
from sparsebench.results.store import Store

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

    from sparsebench.execution.events import Event, Report
    from sparsebench.execution.executors.resources import Resources
    from sparsebench.execution.executors.run_lock import RunLock
    from sparsebench.execution.job import Job, Outcome
    from sparsebench.results.records import RunResult
    from sparsebench.training.distributed import ProcessGroup

SECONDS_BETWEEN_EVENTS = 0.2

STOPPED = "stopped"
"""The file in the work folder of a run that was asked to stop; absent while it is in progress."""


@dataclass(frozen=True)
class Trained:
    """The deployed model is in the work folder, and a fresh process is to measure it."""


@dataclass(frozen=True)
class OutOfMemory:
    """The run ran out of memory and wrote no result: it is tried again in smaller micro-batches."""

    reason: str


@dataclass(frozen=True)
class RankFailed:
    """One of several processes of a run failed; its parent decides whether its row counts."""

    result: RunResult


@dataclass(frozen=True)
class StoreFailed:
    """The results folder cannot be written."""

    reason: str


LastEvent = Trained | Finished | Stopped | OutOfMemory | RankFailed | StoreFailed
"""The last event of a process; none comes from a rank that has trained to the end."""


def work(
    job: Job,
    lock: RunLock,  # noqa: ARG001 - this process holds the lock by having it
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
        job: The run.
        lock: The lock on the run, held for as long as this process lives.
        events: Takes events.
        log: Takes everything that is printed.
        resources: The part of the machine to use.
        group: The processes that train together; a single one measures.
        measure: Which half. The process that measures has imported no code of the method.
    """
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    _redirect(log)
    stop_signal, stopped = StopSignal(listens=group.is_main), log.with_name(STOPPED)
    if group.is_main:
        stopped.unlink(missing_ok=True)
    if bundle_folder():
        forbid_network()
    try:
        stop_signal.listen()
        resources.use()
        last = _half(job, stop_signal, events, group, measure=measure)
    except StoppedError:
        stopped.touch()
        last = Stopped(job.key)
    if last is not None:
        with suppress(OSError):  # the parent is gone: the result is stored, or the run resumes
            events.send(last)
    if last is None or isinstance(last, Trained):
        _leave()
    if group.size > 1 and not isinstance(last, (Finished, Stopped)):
        threading.Event().wait()  # the parent ends all ranks, so that no other fails of this end


def _half(
    job: Job, stop_signal: StopSignal, events: Connection, group: ProcessGroup, *, measure: bool
) -> LastEvent | None:
    """Do one half; return the last event, or None in a rank that has trained to the end."""
    began = time.perf_counter()
    try:
        outcome = _outcome(job, stop_signal, events, group, measure=measure)
        if outcome is None:
            return Trained() if group.is_main else None
        result, reason = outcome.result, outcome.result.reason or ""
        out_of_memory = result.status is Status.OOM and not measure
        if out_of_memory and job.smaller(reason, devices=group.size):
            return OutOfMemory(reason)
        if result.status is not Status.OK and group.size > 1:
            return RankFailed(result)
        stop_signal.enter(WRITE)
        Store(job.store).write(result, predictions=outcome.predictions, keep=outcome.keep)
    except UserError as error:
        return StoreFailed(str(error))
    seconds = time.perf_counter() - began
    return Finished(job.key, result.status.value, result.score, result.reason, seconds)


def _leave() -> NoReturn:
    """End this process without the clean-up of libraries, which may hang and is not needed."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _outcome(
    job: Job, stop_signal: StopSignal, events: Connection, group: ProcessGroup, *, measure: bool
) -> Outcome | None:
    from sparsebench.execution.failures import failure
    from sparsebench.execution.run import measure_model, train_model

    gc.freeze()  # the preloaded libraries stay: garbage collection may skip them
    _silence_libraries()
    forward = _throttled(events)

    def report(event: Event) -> None:
        if not group.is_main:
            return
        if isinstance(event, Progressed):
            stop_signal.enter(event.phase)
        forward(event)

    try:
        with limited_memory(job.limits.memory):
            if measure:
                return measure_model(job, report)
            return train_model(job, report, lambda: stop_signal.asked, group)
    except MemoryError as error:  # there was not even enough to build the row inside
        return failure(job, error)


def _redirect(log: Path) -> None:
    with log.open("ab") as stream:
        for output in (sys.stdout, sys.stderr):
            output.flush()
            os.dup2(stream.fileno(), output.fileno())


def _silence_libraries() -> None:
    import datasets
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()


def _throttled(events: Connection) -> Report:
    """Return a report that drops events that come too fast, except at changes of phase."""
    last: dict[str, float] = {}

    def report(event: Event) -> None:
        now = time.perf_counter()
        phase = event.phase if isinstance(event, Progressed) else ""
        if now - last.get(phase, 0.0) < SECONDS_BETWEEN_EVENTS:
            return
        last[phase] = now
        try:
            events.send(event)
        except OSError:  # the parent is gone, which is no failure of the run
            raise StoppedError from None

    return report
