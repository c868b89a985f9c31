"""Runs that are stopped, and a disk that is full: what is there stays, and the rest goes on."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from executor_jobs import make, make_jobs, results

from sparsebench.errors import StoppedError, UserError
from sparsebench.execution.events import Progressed
from sparsebench.execution.executors import local
from sparsebench.execution.executors.local import LocalExecutor
from sparsebench.execution.executors.ranks import Rank
from sparsebench.execution.executors.run_lock import lock_run
from sparsebench.execution.executors.stop_signal import StopSignal
from sparsebench.results import Status
from sparsebench.results.store import Store
from sparsebench.training.checkpoints import last_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection
    from pathlib import Path

    from sparsebench.execution.events import Event
    from sparsebench.execution.executors.process import RunProcess

STEPS = 60


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def interrupt_in_training(event: Event) -> None:
    if isinstance(event, Progressed) and event.phase == "train":
        signal.raise_signal(signal.SIGINT)


def test_an_interrupted_run_goes_on_from_its_checkpoint_to_the_same_end(root: Path) -> None:
    (job,) = make_jobs(root, "plain", steps=STEPS)
    with pytest.raises(KeyboardInterrupt):
        LocalExecutor().run([job], interrupt_in_training)
    work = Store(root).work_folder(job.spec)
    assert results(root) == {}
    checkpoint = last_checkpoint(work / "stage-0")
    assert checkpoint is not None
    held = lock_run(work)
    assert held is not None  # nobody is at work
    held.release()

    steps = [e.done for e in make(LocalExecutor(), [job]) if isinstance(e, Progressed) and e.total]
    assert steps[0] > 1
    untouched = root.with_name("untouched")
    make(LocalExecutor(), make_jobs(untouched, "plain", steps=STEPS))
    one, other = results(root)["plain"], results(untouched)["plain"]
    assert one.status is Status.OK
    assert one.scores == other.scores
    assert one.training is not None
    assert other.training is not None
    assert [p.loss for p in one.training.loss] == [p.loss for p in other.training.loss]


def test_a_run_that_was_cut_off_after_its_training_does_not_train_again(root: Path) -> None:
    (job,) = make_jobs(root, "plain")

    def interrupt(event: Event) -> None:
        if isinstance(event, Progressed) and event.phase == "evaluate":
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        LocalExecutor().run([job], interrupt)
    assert results(root) == {}

    phases = {e.phase for e in make(LocalExecutor(), [job]) if isinstance(e, Progressed)}
    assert "evaluate" in phases
    assert "train" not in phases
    parts = ("parameters", "activation density", "multiply-adds", "latency", "memory")
    assert phases >= {f"profile {part}" for part in parts}
    untouched = root.with_name("untouched")
    make(LocalExecutor(), make_jobs(untouched, "plain"))
    one, other = results(root)["plain"], results(untouched)["plain"]
    assert one.scores == other.scores
    assert one.training is not None
    assert other.training is not None
    assert one.training.loss == other.training.loss


def test_a_second_interrupt_does_not_wait_for_a_run_that_does_not_stop(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[RunProcess] = []

    def interrupted_too(runs: Sequence[RunProcess]) -> None:
        waits.extend(runs)
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        stop(runs)

    stop = local._stop
    monkeypatch.setattr(local, "_stop", interrupted_too)
    (job,) = make_jobs(root, "deaf")
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        LocalExecutor().run([job], interrupt_in_training)
    assert time.monotonic() - began < local.SECONDS_TO_STOP / 2
    (run,) = waits
    assert run.process.exitcode == -signal.SIGKILL
    assert results(root) == {}


def _talks(sender: Connection) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for _ in range(5000):  # more than a pipe holds
        sender.send("x" * 100)


def test_a_run_that_still_has_much_to_say_can_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "SECONDS_TO_STOP", 30.0)
    context = local.warm_processes()
    events, sender = context.Pipe(duplex=False)
    process = context.Process(target=_talks, args=(sender,))  # type: ignore[attr-defined]
    process.start()
    sender.close()
    assert events.poll(60)  # it is deaf by now
    run = SimpleNamespace(
        process=process, ranks=SimpleNamespace(alive=[Rank(process, events, number=0)])
    )
    local._stop([run])  # type: ignore[list-item]
    assert process.exitcode == 0
    events.close()


def test_a_torn_checkpoint_is_not_gone_on_from(tmp_path: Path) -> None:
    for step in (3, 6):
        (tmp_path / f"checkpoint-{step}").mkdir()
    (tmp_path / "checkpoint-3" / "whole.json").write_text("{}")
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-3"
    assert not (tmp_path / "checkpoint-6").exists()


def test_a_full_disk_stops_the_command_and_costs_no_run(root: Path) -> None:
    full = root.parent / "site" / "full"
    full.touch()
    jobs = make_jobs(root, "plain", "fills")
    with pytest.raises(UserError, match=r"No space left on device, in toy-cola.*to resume"):
        make(LocalExecutor(), jobs)
    assert list(results(root)) == ["plain"]

    full.unlink()
    make(LocalExecutor(), [job for job in jobs if job.spec.method.label == "fills"])
    assert {label: r.status for label, r in results(root).items()} == {
        "plain": Status.OK,
        "fills": Status.OK,
    }


def test_a_stop_waits_for_the_step_and_for_what_is_being_written() -> None:
    stop_signal = StopSignal()
    for phase in ("train", "write"):
        stop_signal.enter(phase)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop_signal.asked
    with pytest.raises(StoppedError):
        stop_signal.enter("evaluate")
