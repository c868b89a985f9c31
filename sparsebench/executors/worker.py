"""What happens in the process of one run."""

from __future__ import annotations

import gc
import multiprocessing as mp
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from sparsebench.events import Finished, Progressed
from sparsebench.results.store import Store

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

    from sparsebench.events import Event, Report
    from sparsebench.job import Job

SECONDS_BETWEEN_EVENTS = 0.2


def work(job: Job, events: Connection, log: Path, threads: int, device: str) -> None:
    """Makes one run, writes its result, and says how it goes.

    Args:
        job: The run to make.
        events: Takes events; the last is ``Finished``.
        log: Takes all that is printed.
        threads: How many threads torch computes with.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    """
    began = time.perf_counter()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    _follow_parent()
    _redirect(log)
    _choose_device(device)
    import torch

    from sparsebench.run import run

    gc.freeze()  # the preloaded libraries are here to stay: collecting garbage may skip them
    torch.set_num_threads(threads)
    _silence_libraries()
    outcome = run(job, _throttled(events))
    Store(job.store).write(outcome.result, predictions=outcome.predictions, keep=outcome.keep)
    result, seconds = outcome.result, time.perf_counter() - began
    events.send(Finished(job.key, result.status.value, result.score, result.reason, seconds))


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
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        for output in (sys.stdout, sys.stderr):
            output.flush()
            os.dup2(stream.fileno(), output.fileno())


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
