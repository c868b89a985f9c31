"""A run trains in one process and is measured in another, on the files that were planned."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from executor_jobs import make, make_jobs, results, use_culprits

from sparsebench.errors import UserError
from sparsebench.execution.context import load_context
from sparsebench.execution.events import Finished, Progressed
from sparsebench.execution.executors.local import LocalExecutor
from sparsebench.execution.executors.process import RunProcess
from sparsebench.execution.run import run
from sparsebench.models.sources import QUICK
from sparsebench.results.records import Status

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_culprits(tmp_path / "site", monkeypatch)
    return tmp_path / "runs"


def test_a_method_that_patches_what_measures_it_gains_nothing(root: Path) -> None:
    events = make(LocalExecutor(workers=2), make_jobs(root, "plain", "cheats"))
    found = results(root)
    assert found["cheats"].status is found["plain"].status is Status.OK
    assert found["cheats"].scores == found["plain"].scores
    costs = found["cheats"].costs
    assert costs is not None
    assert costs.flops == found["plain"].costs.flops  # type: ignore[union-attr]
    assert costs.missing == found["plain"].costs.missing  # type: ignore[union-attr]
    for job_key in {event.key for event in events}:
        phases = [e.phase for e in events if isinstance(e, Progressed) and e.key == job_key]
        assert phases[0] == "load"
        assert {"train", "profile"} <= set(phases)


def test_a_relative_folder_of_results_and_a_method_that_changes_the_directory(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root.parent)
    jobs = make_jobs(root.relative_to(root.parent), "wanders")
    make(LocalExecutor(workers=1), jobs)
    assert results(root)["wanders"].status is Status.OK


def test_an_end_without_a_result_is_an_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (job,) = make_jobs(root, "plain")
    for name in ("_start", "kill"):
        monkeypatch.setattr(RunProcess, name, lambda _: None)
    events = []
    process = RunProcess(None, job, _Lock(), (), events.append)  # type: ignore[arg-type]
    process._end(Finished(job.key, "ok", 1.0, None, 1.0))
    assert events[-1].status == "error"
    assert results(root)["plain"].reason == "it reported its end, but left no result"


class _Lock:
    def release(self) -> None:
        pass


def swap(folder: Path) -> None:
    file = folder / "config.json"
    file.write_text(file.read_text().replace("}", " }", 1))


def test_a_model_that_was_replaced_after_the_plan_is_an_error(root: Path) -> None:
    folder = root.parent / "model"
    shutil.copytree(QUICK / "bert", folder)
    (job,) = make_jobs(root, "plain", models=[str(folder)])
    swap(folder)
    make(LocalExecutor(workers=1), [job])
    result = results(root)["plain"]
    assert result.status is Status.ERROR
    assert "has changed since the run was planned" in (result.reason or "")
    assert result.traceback is None


def test_a_model_that_was_replaced_after_the_training_is_an_error(root: Path) -> None:
    folder = root.parent / "model"
    shutil.copytree(QUICK / "bert", folder)
    (job,) = make_jobs(root, "plain", models=[str(folder)])

    def report(event: object) -> None:
        if isinstance(event, Progressed) and event.phase == "deploy":
            swap(folder)

    outcome = run(job, report)
    assert outcome is not None
    assert outcome.result.status is Status.ERROR
    assert f"the model {folder} has changed" in (outcome.result.reason or "")


def test_data_that_was_replaced_after_the_plan_is_an_error(root: Path) -> None:
    (job,) = make_jobs(root, "plain")
    other = job.spec.model_copy(update={"data_fingerprint": "0" * 16})
    with pytest.raises(UserError, match="the data of toy-cola has changed"):
        load_context(replace(job, spec=other), lambda _: None)


def test_a_run_that_was_cut_off_after_its_training_is_only_measured(root: Path) -> None:
    (job,) = make_jobs(root, "plain")

    class Cut(BaseException):
        pass

    def report(event: object) -> None:
        if isinstance(event, Progressed) and event.phase == "evaluate":
            raise Cut

    with pytest.raises(Cut):
        run(job, report)
    events = make(LocalExecutor(workers=1), [job])
    phases = {event.phase for event in events if isinstance(event, Progressed)}
    assert not phases & {"prepare", "train", "deploy"}
    assert results(root)["plain"].status is Status.OK
    assert not list((root / ".work").iterdir())
