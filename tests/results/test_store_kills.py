"""Whenever the process dies, each run has its old result or its new one, whole."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from factories import make_result, make_spec

from sparsebench.errors import UserError
from sparsebench.results.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from sparsebench.results.records import RunResult

OLD, NEW = 0.25, 0.75


class Killed(BaseException):
    """Stands for SIGKILL: afterwards no file operation of the process happens any more."""


class Reaper:
    """Lets a number of file operations pass, and kills in the next."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.left = 10_000
        self.dead = False
        self._patch = patch
        self._watch(Path, "mkdir")
        self._watch(Path, "rename")
        self._watch(tempfile, "mkdtemp")
        self._watch(os, "fsync", torn=lambda stream: os.ftruncate(stream, 7))
        self._watch(shutil, "move")
        self._watch(shutil, "rmtree", torn=_remove_one)

    def _watch(self, owner: Any, name: str, *, torn: Callable[[Any], object] | None = None) -> None:
        original = getattr(owner, name)

        def operate(*args: Any, **kwargs: Any) -> object:
            self.left -= 1
            if self.dead or self.left < 0:
                if torn and not self.dead:
                    torn(args[0])
                self.dead = True
                raise Killed
            return original(*args, **kwargs)

        self._patch.setattr(owner, name, operate)


def _remove_one(folder: Path) -> None:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    for file in files[:1]:
        file.unlink()


def write(store: Store, score: float) -> None:
    rows = [{"split": "validation", "id": "1", "prediction": score, "reference": 1.0}]
    store.write(make_result(score), predictions=rows)


def found(root: Path) -> RunResult | None:
    """Returns the result that a new process finds, after checking that it is whole."""
    result = Store(root).find(make_spec())
    if result is not None:
        rows = (Store(root).folder(make_spec()) / "predictions.jsonl").read_bytes()
        assert result.files == {"predictions.jsonl": hashlib.sha256(rows).hexdigest()}
        assert str(result.score).encode() in rows
    return result


def killed_at(point: int, root: Path) -> bool:
    """Writes the new result and is killed at a file operation; returns whether it was."""
    with pytest.MonkeyPatch.context() as patch:
        reaper = Reaper(patch)
        reaper.left = point
        try:
            write(Store(root), NEW)
        except Killed:
            return True
    return False


@pytest.mark.parametrize("replaces", [True, False])
def test_a_kill_at_any_file_operation_tears_and_loses_nothing(
    tmp_path: Path, *, replaces: bool
) -> None:
    scores = []
    for point in range(50):
        root = tmp_path / str(point)
        if replaces:
            write(Store(root), OLD)
        was_killed = killed_at(point, root)
        result = found(root)
        scores.append(result.score if result else None)
        if not was_killed:
            break
        write(Store(root), NEW)
        assert found(root) is not None
    else:
        pytest.fail("never ran to its end")

    before = OLD if replaces else None
    turn = scores.index(NEW)
    assert scores == [before] * turn + [NEW] * (len(scores) - turn)
    assert turn >= 3  # it was killed on both sides of the moment that counts
    assert len(scores) - turn >= 2


def step_aside(root: Path, *, score: float) -> Path:
    """Leaves what a kill between the two renames leaves: an old result and no new one."""
    store = Store(root)
    write(store, score)
    final = store.folder(make_spec())
    return final.rename(root / ".staging" / f"{final.name}.abcd_123.retired")


def test_a_result_that_stepped_aside_comes_back(tmp_path: Path) -> None:
    for point in range(20):
        root = tmp_path / str(point)
        step_aside(root, score=OLD)
        with pytest.MonkeyPatch.context() as patch:
            reaper = Reaper(patch)
            reaper.left = point
            with suppress(Killed):
                Store(root)
        result = found(root)
        assert result is not None
        assert result.score == OLD
        if not reaper.dead:
            assert point > 0
            return
    pytest.fail("never ran to its end")


def test_a_result_that_was_replaced_does_not_come_back(tmp_path: Path) -> None:
    step_aside(tmp_path, score=OLD)
    final = Store(tmp_path).folder(make_spec())  # which puts it back
    shutil.copytree(final, tmp_path / ".staging" / f"{final.name}.abcd_123.retired")
    Store(tmp_path)

    shutil.rmtree(final)  # a person asks for the run to be made again

    assert found(tmp_path) is None


def test_a_result_that_cannot_be_put_back_is_a_users_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    retired = step_aside(tmp_path, score=OLD)

    def read_only(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "rename", read_only)
    with pytest.raises(UserError, match=r"abcd_123.retired.*Read-only file system.*by hand"):
        Store(tmp_path)
    assert retired.exists()


def test_what_a_killed_process_was_writing_goes_after_a_day(tmp_path: Path) -> None:
    write(Store(tmp_path), OLD)
    leftover = tmp_path / ".staging" / "a-run.abcd_123"
    leftover.mkdir()
    Store(tmp_path)
    assert leftover.exists()  # its writer may be alive

    day_before = time.time() - 25 * 3600
    os.utime(leftover, (day_before, day_before))
    Store(tmp_path)
    assert not leftover.exists()


def test_writers_and_readers_of_one_run_do_not_disturb_each_other(tmp_path: Path) -> None:
    write(Store(tmp_path), 0.0)

    def work(worker: int) -> None:
        for turn in range(40):
            write(Store(tmp_path), worker + turn / 100)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, worker) for worker in range(4)]:
            done.result()

    result = found(tmp_path)
    assert result is not None
    assert result.score is not None
    assert result.score % 1 == pytest.approx(0.39)  # the last of one of the writers
    assert list((tmp_path / ".staging").iterdir()) == []


WRITER = """
import itertools, sys
from pathlib import Path
from test_store_kills import Store, write
store = Store(Path(sys.argv[1]))
for turn in itertools.count():
    write(store, float(turn))
    print(turn, flush=True)
"""


def test_sigkill_in_the_middle_of_writing(tmp_path: Path) -> None:
    paths = os.pathsep.join(str(Path(__file__).parents[up]) for up in (0, 1, 2))
    for delay in (0.0, 0.003, 0.008):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
        ) as writer:
            assert writer.stdout
            writer.stdout.readline()
            time.sleep(delay)
            writer.send_signal(signal.SIGKILL)
            said = [0, *map(int, writer.stdout.read().split())]
        result = found(tmp_path)
        assert result is not None
        assert result.score in {float(said[-1]), said[-1] + 1.0}
