"""Runs that are stopped, and a disk that is full: what is there stays, and the rest goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import psutil
import pytest
from executor_jobs import make, make_jobs, results

from sparsebench.errors import StoppedError, UserError
from sparsebench.execution.events import Finished, Progressed, Stopped
from sparsebench.execution.executors import fork_server, local, process, worker
from sparsebench.execution.executors.local import LocalExecutor
from sparsebench.execution.executors.ranks import Rank
from sparsebench.execution.executors.run_lock import lock_run
from sparsebench.execution.executors.stop_signal import STOP_SIGNALS, StopSignal
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
    before = {number: signal.getsignal(number) for number in (*STOP_SIGNALS, signal.SIGINT)}
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
        LocalExecutor(workers=1).run([job], interrupt_in_training)
    work = Store(root).work_folder(job.spec)
    assert results(root) == {}
    checkpoint = last_checkpoint(work / "stage-0")
    assert checkpoint is not None
    held = lock_run(work)
    assert held is not None  # nobody is at work
    held.release()

    steps = [
        e.done
        for e in make(LocalExecutor(workers=1), [job])
        if isinstance(e, Progressed) and e.total
    ]
    assert steps[0] > 1
    untouched = root.with_name("untouched")
    make(LocalExecutor(workers=1), make_jobs(untouched, "plain", steps=STEPS))
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
        LocalExecutor(workers=1).run([job], interrupt)
    assert results(root) == {}

    phases = {e.phase for e in make(LocalExecutor(workers=1), [job]) if isinstance(e, Progressed)}
    assert "evaluate" in phases
    assert "train" not in phases
    parts = ("parameters", "activation density", "multiply-adds", "latency", "memory")
    assert phases >= {f"profile {part}" for part in parts}
    untouched = root.with_name("untouched")
    make(LocalExecutor(workers=1), make_jobs(untouched, "plain"))
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
        LocalExecutor(workers=1).run([job], interrupt_in_training)
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
    context = fork_server.warm_processes()
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
        make(LocalExecutor(workers=1), jobs)
    assert list(results(root)) == ["plain"]

    full.unlink()
    make(LocalExecutor(workers=1), [job for job in jobs if job.spec.method.label == "fills"])
    assert {label: r.status for label, r in results(root).items()} == {
        "plain": Status.OK,
        "fills": Status.OK,
    }


@pytest.mark.parametrize("number", sorted(STOP_SIGNALS))
def test_a_run_that_is_asked_to_stop_leaves_its_checkpoint_and_no_row(
    root: Path, number: int
) -> None:
    stopping, other = make_jobs(root, "plain", seeds=(1, 2), steps=STEPS)
    events: list[Event] = []

    def stop_first(event: Event) -> None:
        events.append(event)
        if isinstance(event, Progressed) and event.phase == "train" and event.key == stopping.key:
            (run,) = psutil.Process(fork_server.server_pid()).children()
            run.send_signal(number)

    LocalExecutor(workers=1).run([stopping, other], stop_first)

    assert [e for e in events if isinstance(e, Stopped)] == [Stopped(stopping.key)]
    assert [e.key for e in events if isinstance(e, Finished)] == [other.key]
    assert [r.spec.seed for r in Store(root)] == [2]
    assert last_checkpoint(Store(root).work_folder(stopping.spec) / "stage-0") is not None
    again = make(LocalExecutor(workers=1), [stopping])
    assert next(e.done for e in again if isinstance(e, Progressed) and e.total) > 1
    assert {r.status for r in Store(root)} == {Status.OK}


def test_runs_start_again_when_their_fork_server_is_killed(root: Path) -> None:
    jobs = make_jobs(root, "plain", seeds=(1, 2), steps=STEPS, checkpoint_every=5)
    killed: list[int] = []

    def kill(event: Event) -> None:
        if isinstance(event, Progressed) and event.phase == "train" and len(killed) < 2:
            server = fork_server.server_pid()
            if server is not None and server not in killed:
                killed.append(server)
                os.kill(server, signal.SIGKILL)

    LocalExecutor(workers=2).run(jobs, kill)

    assert len(killed) == 2
    assert [result.status for result in Store(root)] == [Status.OK, Status.OK]


def test_a_server_that_is_killed_without_end_is_one_message(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "MOST_SERVERS", 1)
    (job,) = make_jobs(root, "plain", steps=STEPS)

    def kill(event: Event) -> None:
        if isinstance(event, Progressed):
            os.kill(fork_server.server_pid() or 0, signal.SIGKILL)

    with pytest.raises(UserError, match=r"was killed 2 times.*the same command resumes"):
        LocalExecutor(workers=1).run([job], kill)
    assert results(root) == {}


def test_a_command_that_is_asked_to_stop_lets_its_runs_save_a_checkpoint(root: Path) -> None:
    (job,) = make_jobs(root, "plain", steps=STEPS)

    def terminate(event: Event) -> None:
        if isinstance(event, Progressed) and event.phase == "train":
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        LocalExecutor(workers=1).run([job], terminate)
    assert results(root) == {}
    assert last_checkpoint(Store(root).work_folder(job.spec) / "stage-0") is not None
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_parent_that_does_not_listen_any_more_is_no_failure_of_the_run() -> None:
    events, sender = fork_server.warm_processes().Pipe(duplex=False)
    events.close()

    with pytest.raises(StoppedError):
        worker._throttled(sender)(Progressed("key", "train"))


GRIPS = """
import ctypes, sys
from sparsebench.execution.executors.fork_server import end_with_parent, warm_processes

def grip(sender):
    end_with_parent()
    sender.send("ready")
    sender.close()
    ctypes.PyDLL(None).sleep(120)  # C code that holds the interpreter

if __name__ == "__main__":
    context = warm_processes()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=grip, args=(sender,))
    process.start()
    receiver.recv()
    print(process.pid, flush=True)
    process.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_a_process_in_c_code_ends_with_the_command(tmp_path: Path) -> None:
    script = tmp_path / "grips.py"
    script.write_text(GRIPS)
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout
        run = psutil.Process(int(command.stdout.readline()))
        command.kill()
    _, alive = psutil.wait_procs([run], timeout=30)
    assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]


def test_the_last_lines_of_a_log_of_any_size(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    with log.open("wb") as stream:
        stream.truncate(2**33)  # a sparse file
        stream.seek(0, os.SEEK_END)
        stream.write(b"\nthe end\n")
    assert process.last_lines(log).endswith("the end")
    assert process.last_lines(tmp_path / "none") == ""
    os.mkfifo(tmp_path / "pipe")
    assert process.last_lines(tmp_path / "pipe") == ""


def test_a_stop_waits_for_the_step_and_for_what_is_being_written() -> None:
    stop_signal = StopSignal()
    stop_signal.listen()
    for phase in ("train", "write"):
        stop_signal.enter(phase)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop_signal.asked
    with pytest.raises(StoppedError):
        stop_signal.enter("evaluate")


def test_a_second_stop_does_not_interrupt_the_way_out() -> None:
    stop_signal = StopSignal()
    stop_signal.listen()
    with pytest.raises(StoppedError):
        os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    assert stop_signal.asked


def test_ctrl_c_while_the_server_imports_the_libraries_does_not_reach_it() -> None:
    interrupted = (
        "import os, signal, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'peft':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "            print('goes on', flush=True)\n"
        "            os._exit(0)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "import sparsebench.execution.executors.preload\n"
    )
    command = [sys.executable, "-c", interrupted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("goes on\n", "", 0)
