"""The time to start a run in a warm and in a cold process, and the phases of a quick run.

    pytest benchmarks/test_run_start.py

A start lasts from the request for a process until it loads its backbone, in wall-clock time; warm
and cold starts are interleaved. On a busy machine, only the ratio is meaningful.
"""

from __future__ import annotations

import multiprocessing as mp
import time
from collections import defaultdict
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from executor_jobs import make_jobs
from tabulate import tabulate

from sparsebench.execution.events import Progressed, Started
from sparsebench.execution.executors import local
from sparsebench.execution.executors.fork_server import warm_processes
from sparsebench.execution.executors.local import LocalExecutor

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from pathlib import Path

    import pytest

    from sparsebench.execution.events import Event

ROUNDS = 3
OWN = ("start", "load", "prepare", "deploy", "end")
"""The phases of the harness itself: the others train, predict or measure."""

STEPS = 150
"""The budget of the quick suite."""


def phases(root: Path, *, steps: int) -> dict[str, float]:
    """Run a job; return the seconds of each of its phases."""
    spent: dict[str, float] = defaultdict(float)
    phase, since = "start", time.perf_counter()

    def report(event: Event) -> None:
        nonlocal phase, since
        if isinstance(event, Started):
            return
        now = time.perf_counter()
        spent[phase] += now - since
        since = now
        phase = event.phase if isinstance(event, Progressed) else "end"

    LocalExecutor().run(make_jobs(root, "full", steps=steps), report)
    assert phase == "end"
    spent["end"] += time.perf_counter() - since
    return spent


def show(pytestconfig: pytest.Config, text: str) -> None:
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():  # type: ignore[union-attr]
        print(f"\n\n{text}")


def test_a_warm_start_is_a_fraction_of_a_cold_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    phases(tmp_path / "first", steps=1)  # which starts the server
    contexts: dict[str, BaseContext] = {"warm": warm_processes(), "cold": mp.get_context("spawn")}
    starts: dict[str, list[float]] = {"warm": [], "cold": []}
    for turn in range(ROUNDS):
        for kind, values in starts.items():
            with monkeypatch.context() as patch:
                patch.setattr(local, "warm_processes", partial(contexts.__getitem__, kind))
                values.append(phases(tmp_path / f"{kind}-{turn}", steps=1)["start"])
    warm, cold_ = (median(values) for values in starts.values())
    rows = [
        (kind, f"{median(values):.2f} s", f"{min(values):.2f} s") for kind, values in starts.items()
    ]
    table = tabulate(rows, headers=("start", "median", "fastest"), tablefmt="pipe")
    show(pytestconfig, f"{table}\n\ncold / warm: {cold_ / warm:.0f}")
    assert warm < cold_ / 3


def test_the_harness_s_own_share_of_a_quick_run(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    phases(tmp_path / "first", steps=1)
    spent = phases(tmp_path / "quick", steps=STEPS)
    total = sum(spent.values())
    rows = [
        (phase, "its own" if phase in OWN else "the run's", f"{seconds / total:.1%}")
        for phase, seconds in sorted(spent.items(), key=lambda item: -item[1])
    ]
    own = {phase: spent[phase] for phase in OWN}
    largest = max(own, key=own.__getitem__)
    table = tabulate(rows, headers=("phase", "", "of the time"), tablefmt="pipe")
    share = sum(own.values()) / total
    show(
        pytestconfig,
        f"{table}\n\nthe harness's own: {share:.1%}, the largest part of it: {largest}",
    )
    assert 0 < share < 1
