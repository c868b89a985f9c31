"""Runs that misbehave: one row each with the right status, and everything else complete."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from executor_jobs import HOOKS, limited, make, make_jobs, results

from sparsebench.errors import UserError
from sparsebench.execution.events import Finished, Started
from sparsebench.execution.executors import resources
from sparsebench.execution.executors.local import LocalExecutor
from sparsebench.results import Status
from sparsebench.schema.limits import Limits
from sparsebench.schema.training import Training

if TYPE_CHECKING:
    from pathlib import Path

    from sparsebench.results import RunResult

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_DATA as Linux has it")


def told(found: dict[str, RunResult]) -> dict[str, tuple[Status, str | None]]:
    return {label: (result.status, result.reason) for label, result in found.items()}


@linux
def test_each_misdeed_is_a_row_of_its_own(root: Path) -> None:
    jobs = make_jobs(root, "exits", "dies", "diverges", "plain", "lingers", "needsroom")
    jobs += limited(make_jobs(root, "hoards", "crowds"), memory="300 MiB")
    jobs += limited(make_jobs(root, "sleeps"), time="8 s")
    events = make(LocalExecutor(workers=2), jobs)

    found = results(root)
    rows = told(found)
    assert rows.pop("plain") == rows.pop("lingers") == rows.pop("needsroom") == (Status.OK, None)
    status, reason = rows.pop("hoards")
    assert status is Status.OOM
    assert "memory" in (reason or "")
    assert rows.pop("crowds")[0] is Status.OOM
    assert rows == {
        "exits": (Status.ERROR, "the process ended with exit code 7"),
        "dies": (Status.ERROR, "the process was killed by SIGKILL"),
        "diverges": (Status.DIVERGED, "the loss is nan at step 1 of 2"),
        "sleeps": (Status.TIMEOUT, "stopped at its time limit of 8 s"),
    }
    assert "last words" in (found["exits"].traceback or "")
    assert "going to sleep" in (found["sleeps"].traceback or "")
    finished = [event.key for event in events if isinstance(event, Finished)]
    assert sorted(finished) == sorted(job.key for job in jobs)
    assert {e.key for e in events if isinstance(e, Started)} == set(finished)
    assert not list((root / ".work").iterdir())

    again = found["needsroom"].retried
    assert again is not None
    assert (again.micro_batch_size, again.reason) == (16, "tried to allocate 2 GiB")
    assert found["needsroom"].spec.training.micro_batch_size is None
    assert found["plain"].retried is None
    assert found["hoards"].retried is not None  # it had its second attempt


def test_a_method_that_raises_in_any_hook_is_a_row_that_names_it(root: Path) -> None:
    jobs = make_jobs(root, *(f"no_{hook}" for hook in HOOKS))
    make(LocalExecutor(workers=1), jobs)
    found = results(root)
    reasons = {f"no_{hook}": f"RuntimeError: no {hook} today" for hook in HOOKS}
    reasons["no_refuses"] = f"No_refuses.refuses failed: {reasons['no_refuses']}"
    assert told(found) == {name: (Status.ERROR, reason) for name, reason in reasons.items()}
    raised = [hook for hook in HOOKS if hook != "refuses"]  # it is asked before the run begins
    assert all(hook in (found[f"no_{hook}"].traceback or "") for hook in raised)


@pytest.mark.parametrize(
    ("written", "seconds"), [("90 s", 90), ("1.5 min", 90), ("2 h", 7200), ("30", 30), (0.5, 0.5)]
)
def test_times_are_read_as_people_write_them(written: object, seconds: float) -> None:
    assert Limits.model_validate({"time": written}).time == seconds


@pytest.mark.parametrize(
    ("written", "size"), [("4 GiB", 4 * 2**30), ("4 GB", 4 * 10**9), ("800 MiB", 800 * 2**20)]
)
def test_sizes_are_read_as_people_write_them(written: object, size: int) -> None:
    assert Limits.model_validate({"memory": written}).memory == size


@pytest.mark.parametrize(
    "limits", [{"time": "2 moons"}, {"time": 0}, {"time": "-1 s"}, {"memory": "1"}, {"memory": "x"}]
)
def test_what_is_no_limit_is_refused(limits: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Limits.model_validate(limits)


def test_a_memory_limit_is_refused_where_it_would_not_hold(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.sys, "platform", "darwin")
    with pytest.raises(UserError, match="Linux only"):
        make(LocalExecutor(workers=1), limited(make_jobs(root, "plain"), memory="1 GiB"))


@pytest.mark.parametrize(("size", "half"), [(None, 16), (8, 4), (1, None)])
def test_the_second_attempt_halves_the_micro_batch_and_keeps_the_key(
    root: Path, size: int | None, half: int | None
) -> None:
    (job,) = make_jobs(root, "plain")
    training = Training(batch_size=32, micro_batch_size=size)
    job = type(job)(**{**vars(job), "spec": job.spec.model_copy(update={"training": training})})
    smaller = job.smaller("no room")
    assert (smaller and smaller.training.micro_batch_size) == half
    if smaller:
        assert smaller.training.batch_size == 32
        assert smaller.key == job.key
        assert smaller.smaller("again") is None
