"""Locks on runs, and commands that share the work of one folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from executor_jobs import make, make_jobs, results, use_culprits

from sparsebench.errors import UserError
from sparsebench.execution.events import Awaited, Finished, Started
from sparsebench.execution.executors.local import LocalExecutor
from sparsebench.execution.executors.run_lock import (
    LOCK,
    Backlog,
    holder,
    lock_run,
)
from sparsebench.execution.executors.teacher_order import finished_since
from sparsebench.execution.job import failed
from sparsebench.results import Status
from sparsebench.results.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from sparsebench.execution.events import Event

HOLDER = """
import sys, time
from pathlib import Path
from sparsebench.execution.executors.run_lock import lock_run
held = lock_run(Path(sys.argv[1]))
print("held" if held else "taken", flush=True)
time.sleep(600)
"""


def test_a_lock_is_one_process_s_until_it_is_gone(tmp_path: Path) -> None:
    work = tmp_path / "run"
    command = [sys.executable, "-c", HOLDER, str(work)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        assert owner.stdout.readline() == "held\n"
        assert lock_run(work) is None
        assert holder(work) == f"process {owner.pid} on {socket.gethostname()}"
        owner.kill()
    held = lock_run(work)
    assert held is not None
    assert lock_run(work) is None
    held.release()
    again = lock_run(work)
    assert again is not None
    again.discard()
    assert not work.exists()


@pytest.mark.parametrize(
    "content", [b"", b"\x1b[2J process 1", b"\xff" * 10_000, b"process x on y"]
)
def test_a_holder_that_does_not_name_itself(tmp_path: Path, content: bytes) -> None:
    assert holder(tmp_path) == ""
    (tmp_path / LOCK).write_bytes(content)
    assert holder(tmp_path) == ""


def test_a_process_that_is_forked_does_not_keep_the_lock(tmp_path: Path) -> None:
    lock = lock_run(tmp_path / "run")
    assert lock is not None
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"alive")
        time.sleep(60)
        os._exit(0)
    try:
        assert os.read(reader, 5) == b"alive"
        assert lock_run(tmp_path / "run") is None  # the parent still has it
        lock.release()
        again = lock_run(tmp_path / "run")
        assert again is not None
        again.discard()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_no_two_ever_hold_a_lock_whose_file_comes_and_goes(tmp_path: Path) -> None:
    inside, most, got = 0, 0, 0

    def hammer(_: int) -> None:
        nonlocal inside, most, got
        for _ in range(300):
            if held := lock_run(tmp_path / "run"):
                inside, got = inside + 1, got + 1
                most = max(most, inside)
                inside -= 1
                held.discard()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(hammer, range(4)))
    assert most == 1
    assert got > 4
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_locked_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("no folder")
    with pytest.raises(UserError, match=r"runs.*cannot be written \(Not a directory\)"):
        lock_run(tmp_path / "runs" / "run")


def test_what_another_has_made_since_the_plan_is_not_made_again(tmp_path: Path) -> None:
    (job,) = make_jobs(tmp_path, "full")
    Store(tmp_path).write(failed(job, Status.ERROR, "made elsewhere"))
    told: list[Event] = []
    assert Backlog([job], told.append).take() is None
    assert told == [Finished(job.key, "error", None, "made elsewhere", 0.0)]

    (planned,) = make_jobs(tmp_path, "full")  # which knows of that result, and is to replace it
    assert finished_since(planned) is None
    Store(tmp_path).write(failed(job, Status.ERROR, "made elsewhere"))
    assert finished_since(planned) is not None


def test_two_commands_share_the_runs_of_one_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_culprits(tmp_path / "site", monkeypatch)
    jobs = make_jobs(tmp_path / "runs", "plain", seeds=(1, 2, 3, 4))
    together = threading.Barrier(2)

    def command(_: int) -> list[Event]:
        together.wait()
        return make(LocalExecutor(workers=1), jobs)

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(command, range(2))
    keys = sorted(job.key for job in jobs)
    begun = [event.key for event in [*one, *other] if isinstance(event, Started)]
    assert sorted(begun) == keys  # each was made once, by one of them
    for events in (one, other):
        assert any(isinstance(event, Started) for event in events)
        assert sorted(e.key for e in events if isinstance(e, Finished)) == keys
    assert any(isinstance(event, Awaited) for event in [*one, *other])
    assert {r.status for r in results(tmp_path / "runs").values()} == {Status.OK}
    assert not list((tmp_path / "runs" / ".work").iterdir())
