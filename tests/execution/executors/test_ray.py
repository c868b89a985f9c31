"""Runs on a Ray cluster that is started here: the same keys and scores as in this process's own."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import psutil
import pytest
from executor_jobs import make, make_jobs, results

from sparsebench.errors import UserError
from sparsebench.execution.events import Finished, Started
from sparsebench.execution.executors.local import LocalExecutor
from sparsebench.execution.executors.ray import RayExecutor
from sparsebench.execution.executors.remote import keep
from sparsebench.results import Status

if TYPE_CHECKING:
    from pathlib import Path

    from sparsebench.execution.events import Event

pytestmark = pytest.mark.xdist_group("ray")


def test_a_cluster_makes_the_same_results_and_outlives_its_workers(root: Path) -> None:
    pytest.importorskip("ray")
    labels = ("plain", "exits", "full")
    jobs = make_jobs(root, *labels)
    killed: list[int] = []

    def kill_one(event: Event) -> None:
        if isinstance(event, Finished) and not killed:
            below = psutil.Process().children(recursive=True)
            for worker in filter(_is_worker, below):
                killed.append(worker.pid)
                worker.send_signal(signal.SIGKILL)

    events: list[Event] = []

    def tell(event: Event) -> None:
        events.append(event)
        kill_one(event)

    RayExecutor(workers=2).run(jobs, tell)
    here = root.with_name("here")
    make(LocalExecutor(workers=1), make_jobs(here, *labels))
    found, expected = results(root), results(here)
    assert killed
    assert {label: (r.key, r.status, r.reason, r.scores) for label, r in found.items()} == {
        label: (r.key, r.status, r.reason, r.scores) for label, r in expected.items()
    }
    assert found["plain"].status is Status.OK
    for label in ("plain", "full"):
        rows = [next(folder.glob(f"*--{label}--*/predictions.jsonl")) for folder in (root, here)]
        assert rows[0].read_bytes() == rows[1].read_bytes()
    assert sorted(e.key for e in events if isinstance(e, Finished)) == sorted(j.key for j in jobs)
    assert {e.key for e in events if isinstance(e, Started)} == {j.key for j in jobs}
    assert not list((root / ".work").iterdir())


def _is_worker(process: psutil.Process) -> bool:
    try:
        return process.cmdline()[:1] == ["ray::sparsebench"]
    except psutil.Error:
        return False


def test_no_cluster_is_one_message(root: Path) -> None:
    pytest.importorskip("ray")
    with pytest.raises(UserError, match=r"no Ray cluster at '127.0.0.1:1'"):
        make(RayExecutor(options={"address": "127.0.0.1:1"}), make_jobs(root, "plain"))


def test_a_missing_package_is_one_message_with_the_command(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'sparsebench\[ray\]'"):
        make(RayExecutor(), make_jobs(root, "plain"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adress": "auto"}, "unknown key; did you mean 'address'?"),
        ({"cpus": 0}, "cpus: should be greater than 0"),
        ({"retries": -1}, "retries"),
    ],
)
def test_a_bad_option_is_one_message(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as error:
        RayExecutor(options=options)
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil"])
def test_no_file_of_a_result_leaves_its_folder(root: Path, name: str) -> None:
    (job,) = make_jobs(root, "plain")
    with pytest.raises(UserError, match="evil"):
        keep(job, {name: b"evil"})
    assert not list(root.parent.rglob("evil"))
    assert not os.path.exists("/etc/evil")  # noqa: PTH110
