"""Runs as jobs of submitit's own executor on this machine, which stands in for Slurm."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from executor_jobs import make, make_jobs, results

from sparsebench.errors import UserError
from sparsebench.execution.events import Finished, Started
from sparsebench.execution.executors.local import LocalExecutor
from sparsebench.execution.executors.slurm import Batch, SlurmExecutor
from sparsebench.results import Status
from sparsebench.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

LOCAL = {"cluster": "local"}


def test_jobs_make_the_same_results(root: Path) -> None:
    pytest.importorskip("submitit")
    labels = ("plain", "exits", "full")
    jobs = make_jobs(root, *labels)
    events = make(SlurmExecutor(workers=1, options=LOCAL), jobs)
    here = root.with_name("here")
    make(LocalExecutor(workers=1), make_jobs(here, *labels))
    found, expected = results(root), results(here)
    assert {label: (r.key, r.status, r.reason, r.scores) for label, r in found.items()} == {
        label: (r.key, r.status, r.reason, r.scores) for label, r in expected.items()
    }
    assert sorted(e.key for e in events if isinstance(e, Finished)) == sorted(j.key for j in jobs)
    assert {e.key for e in events if isinstance(e, Started)} <= {j.key for j in jobs}


def test_a_job_that_ends_without_a_result_is_a_row(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setattr("sparsebench.execution.executors.slurm.__version__", "0.0.0")
    make(SlurmExecutor(options=LOCAL), make_jobs(root, "plain"))
    (result,) = results(root).values()
    assert result.status is Status.ERROR
    assert "left no result" in (result.reason or "")
    assert "0.0.0" in (result.traceback or "")


def test_runs_are_shared_out_evenly(root: Path) -> None:
    jobs = make_jobs(root, "plain", seeds=range(7))

    def sizes(**options: object) -> list[int]:
        workers = options.pop("workers", None)
        executor = SlurmExecutor(workers=workers, options=options)  # type: ignore[arg-type]
        batches = executor._batches(jobs, workers)
        assert sorted(j.key for b in batches for j in b.jobs) == sorted(j.key for j in jobs)
        return [len(batch.jobs) for batch in batches]

    assert sizes() == [1] * 7
    assert sizes(runs=3) == [3, 2, 2]
    assert sizes(cluster="local", workers=2) == [4, 3]
    assert sizes(cluster="local") == [7]


def test_a_job_that_was_preempted_is_submitted_again_as_it_was(root: Path) -> None:
    pytest.importorskip("submitit")
    batch = Batch(tuple(make_jobs(root, "plain")), device="cpu", version=__version__)
    assert batch.checkpoint().function is batch


def test_a_machine_without_slurm_is_one_message(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="sbatch, which is not on this machine"):
        make(SlurmExecutor(), make_jobs(root, "plain"))


def test_a_missing_package_is_one_message_with_the_command(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"pip install 'sparsebench\[slurm\]'"):
        make(SlurmExecutor(), make_jobs(root, "plain"))
