"""A row that learns from another runs after it, on its deployed model, or says why it cannot."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from executor_jobs import make, results
from pupils import install_pupils, labels, plan_pupils

from sparsebench.errors import UserError
from sparsebench.execution.events import Finished, Started, Stopped
from sparsebench.execution.executors.local import LocalExecutor
from sparsebench.execution.executors.ray import RayExecutor
from sparsebench.execution.executors.slurm import SlurmExecutor
from sparsebench.execution.plan import PlanState, RerunPolicy, plan
from sparsebench.execution.tuning import trial_suite
from sparsebench.execution.verification.rerun import jobs_for
from sparsebench.results import Status
from sparsebench.results.store import Store
from sparsebench.suite import Suite
from sparsebench.tasks import DataSource

if TYPE_CHECKING:
    from pathlib import Path

    from sparsebench.execution.events import Event
    from sparsebench.execution.executors import Executor

PAIR = {"pupil": {}, "full": {}}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns a results folder, where methods with a teacher are installed."""
    install_pupils(tmp_path / "site", monkeypatch)
    return tmp_path / "runs"


def run(planned: list, executor: Executor | None = None) -> list[Event]:
    jobs = [each.job for each in planned if each.state.value == "run"]
    return make(executor or LocalExecutor(workers=1), jobs)


class TestPlan:
    def test_a_teacher_comes_first_and_keeps_its_model(self, root: Path) -> None:
        teacher, student = plan_pupils(root, PAIR, seeds=(1, 2))[:2]
        assert (teacher.job.spec.method.label, student.job.spec.method.label) == ("full", "pupil")
        assert teacher.job.keep_model
        assert not student.job.keep_model
        assert teacher.students == ("pupil",)
        choice = student.job.spec.teacher
        assert choice is not None
        assert (choice.name, choice.row, choice.fingerprint) == ("full", True, teacher.job.key)
        assert student.job.teacher
        assert student.job.teacher.run
        assert student.job.teacher.run.key == teacher.job.key

    def test_each_seed_has_its_own_teacher(self, root: Path) -> None:
        runs = plan_pupils(root, PAIR, seeds=(1, 2))
        taught = {r.job.spec.seed: r.job.spec.teacher for r in runs if r.job.spec.teacher}
        keys = {r.job.spec.seed: r.job.key for r in runs if not r.job.spec.teacher}
        assert {seed: choice.fingerprint for seed, choice in taught.items()} == keys

    def test_the_key_follows_the_settings_of_the_teacher(self, root: Path) -> None:
        one = plan_pupils(root, PAIR)[1].job.key
        other = plan_pupils(root, {**PAIR, "full": {"learning_rate": 1e-3}})[1].job.key
        assert one != other

    def test_a_chain_of_teachers_is_in_order(self, root: Path) -> None:
        rows = {"c": {"method": "pupil", "teacher": "b"}, "b": {"method": "pupil"}, "full": {}}
        assert list(labels(plan_pupils(root, rows))) == ["full", "b", "c"]

    @pytest.mark.parametrize("teacher", ["a", "b"])
    def test_a_circle_is_a_mistake(self, root: Path, teacher: str) -> None:
        rows = {
            "a": {"method": "pupil", "teacher": teacher},
            "b": {"method": "pupil", "teacher": "a"},
        }
        with pytest.raises(UserError, match="the teachers form a circle: a learns from"):
            plan_pupils(root, rows)

    def test_an_unknown_teacher_is_a_mistake_with_the_nearest_row(self, root: Path) -> None:
        with pytest.raises(UserError, match=r"'ful' is neither a row .* did you mean 'full'\?"):
            plan_pupils(root, {"pupil": {"teacher": "ful"}, "full": {}})

    def test_search_trials_learn_from_the_row_of_the_suite(self, root: Path) -> None:
        search = {"pupil": {"learning_rate": [1e-3, 2e-3]}, "full": {"learning_rate": [1e-4, 2e-4]}}
        content = {
            "name": "tuned",
            "tasks": ["toy-cola"],
            "models": ["quick/bert"],
            "methods": {"pupil": {}, "full": {"learning_rate": 5e-4}},
            "tuning": {"trials": 2, "tasks": ["toy-cola"], "search": search},
        }
        trials = trial_suite(Suite.model_validate(content))
        runs = plan(trials, store=Store(root), data=DataSource())
        taught = [r.job.spec for r in runs if r.job.spec.teacher]
        (teacher,) = (r.job for r in runs if r.job.spec.method.label == "full")
        assert teacher.spec.method.settings["learning_rate"] == 5e-4
        assert [spec.method.label for spec in taught] == ["pupil.trial-1", "pupil.trial-2"]
        assert {spec.teacher and spec.teacher.fingerprint for spec in taught} == {teacher.key}

    def test_a_skipped_teacher_skips_its_students(self, root: Path) -> None:
        teacher, student = plan_pupils(root, {"pupil": {"teacher": "shy"}, "shy": {}})
        assert (teacher.state, student.state) == (PlanState.SKIP, PlanState.SKIP)
        assert student.reason == "its teacher shy is skipped: it is shy"


class TestRuns:
    def test_a_student_learns_from_the_deployed_model(self, root: Path) -> None:
        events = run(plan_pupils(root, PAIR), LocalExecutor(workers=2))
        found = results(root)
        assert {label: r.status for label, r in found.items()} == {
            "full": Status.OK,
            "pupil": Status.OK,
        }
        order = [(type(e).__name__, e.key) for e in events if isinstance(e, Started | Finished)]
        teacher, student = found["full"].key, found["pupil"].key
        assert order.index(("Finished", teacher)) < order.index(("Started", student))
        record = found["pupil"].teacher
        assert record is not None
        training = found["full"].training
        assert training is not None
        assert (record.name, record.key, record.score) == ("full", teacher, found["full"].score)
        assert (record.steps, record.seconds) == (training.steps, training.seconds)
        assert labels(plan_pupils(root, PAIR)) == {"full": "cached", "pupil": "cached"}

    def test_a_cached_teacher_is_read_and_a_lost_model_is_trained_again(self, root: Path) -> None:
        run(plan_pupils(root, PAIR))
        first = results(root)["pupil"]
        shutil.rmtree(Store(root).folder(first.spec))
        assert labels(plan_pupils(root, PAIR)) == {"full": "cached", "pupil": "run"}
        shutil.rmtree(Store(root).folder(results(root)["full"].spec) / "deployed")
        again = plan_pupils(root, PAIR)
        assert labels(again) == {"full": "run", "pupil": "run"}
        run(again)
        second = results(root)["pupil"]
        assert first.training
        assert second.training
        assert first.training.loss == second.training.loss
        assert first.score == second.score

    def test_a_cached_student_needs_no_model_of_its_teacher(self, root: Path) -> None:
        run(plan_pupils(root, PAIR))
        shutil.rmtree(Store(root).folder(results(root)["full"].spec) / "deployed")
        assert labels(plan_pupils(root, PAIR)) == {"full": "cached", "pupil": "cached"}

    def test_a_failed_teacher_is_the_reason_of_its_student(self, root: Path) -> None:
        rows = {"pupil": {"teacher": "dunce"}, "dunce": {}, "grandchild": {"method": "pupil"}}
        rows["grandchild"]["teacher"] = "pupil"
        run(plan_pupils(root, rows))
        found = results(root)
        assert found["dunce"].status is Status.ERROR
        assert found["pupil"].status is Status.SKIPPED
        assert "its teacher dunce has no model (error: " in (found["pupil"].reason or "")
        assert "no memory for names" in (found["pupil"].reason or "")
        assert "its teacher pupil has no model" in (found["grandchild"].reason or "")
        planned = plan_pupils(root, rows)
        assert labels(planned) == {"dunce": "cached", "pupil": "skip", "grandchild": "skip"}
        assert "--retry-failed runs both" in (planned[1].reason or "")
        again = plan_pupils(root, rows, rerun=RerunPolicy(failed=True))
        assert labels(again) == {"dunce": "run", "pupil": "run", "grandchild": "run"}

    def test_a_stopped_teacher_stops_its_student(self, root: Path) -> None:
        planned = plan_pupils(root, PAIR, steps=4000)
        events: list[Event] = []

        def stop(event: Event) -> None:
            events.append(event)
            if type(event).__name__ == "Progressed" and getattr(event, "phase", "") == "train":
                for child in psutil_children():
                    os.kill(child, signal.SIGTERM)

        LocalExecutor(workers=1).run([each.job for each in planned], stop)
        assert {e.key for e in events if isinstance(e, Stopped)} == {p.job.key for p in planned}
        assert not results(root)

    def test_a_student_without_a_run_of_its_teacher_does_not_wait(self, root: Path) -> None:
        run(plan_pupils(root, PAIR)[1:])
        assert results(root)["pupil"].reason == "its teacher full has no result"

    def test_a_teacher_whose_model_was_not_kept_is_named(self, root: Path) -> None:
        teacher, student = (each.job for each in plan_pupils(root, PAIR))
        make(LocalExecutor(workers=1), [replace(teacher, keep_model=False), student])
        assert "did not keep its model" in (results(root)["pupil"].reason or "")
        assert labels(plan_pupils(root, PAIR)) == {"full": "run", "pupil": "run"}

    def test_verification_repeats_the_teacher_first(self, root: Path, tmp_path: Path) -> None:
        run(plan_pupils(root, PAIR))
        found = results(root)
        stored = {r.key: r for r in found.values()}
        new = tmp_path / "again"
        jobs = jobs_for(found["pupil"], data=DataSource(), store=new, results=stored)
        make(LocalExecutor(workers=1), jobs)
        assert results(new)["pupil"].score == found["pupil"].score
        with pytest.raises(UserError, match=r"its teacher full .* is not among the results"):
            jobs_for(found["pupil"], data=DataSource(), store=new, results={})


def psutil_children() -> list[int]:
    import psutil

    below = psutil.Process().children(recursive=True)
    return [c.pid for c in below if c.children() == [] and "forkserver" in " ".join(c.cmdline())]


class TestModels:
    """Teachers that are no row."""

    def test_a_folder_teaches_and_its_files_are_part_of_the_key(self, root: Path) -> None:
        run(plan_pupils(root, PAIR))
        full = results(root)["full"]
        folder = root.with_name("teacher")
        shutil.copytree(Store(root).folder(full.spec) / "deployed", folder)
        rows = {"pupil": {"teacher": str(folder)}}
        (planned,) = plan_pupils(root, rows)
        run([planned])
        student = Store(root).find(planned.job.spec)
        assert student is not None
        assert student.status is Status.OK, student.reason
        assert student.teacher is not None
        assert student.teacher.steps is None
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "note": 1}))
        assert plan_pupils(root, rows)[0].job.key != planned.job.key
        shutil.rmtree(Store(root).folder(planned.job.spec))
        run([planned])
        assert "has changed since the run was planned" in (results(root)["pupil"].reason or "")

    def test_a_model_without_a_trained_head_is_refused(self, root: Path) -> None:
        from sparsebench.models.sources import QUICK

        folder = root.with_name("pretrained")
        shutil.copytree(QUICK / "bert", folder)
        run(plan_pupils(root, {"pupil": {"teacher": str(folder)}}))
        reason = results(root)["pupil"].reason or ""
        assert "was not trained for classification: its files have no bert.pooler" in reason


def test_the_peak_of_memory_in_training_contains_the_teacher(root: Path) -> None:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    from sparsebench.models.sources import QUICK

    config = AutoConfig.from_pretrained(QUICK / "bert", num_hidden_layers=24, hidden_size=512)
    config.intermediate_size = 2048
    model = AutoModelForSequenceClassification.from_config(config)
    folder = root.with_name("large")
    shutil.copytree(QUICK / "bert", folder)
    model.save_pretrained(folder)
    run(plan_pupils(root, {"full": {}, "distill": {"teacher": str(folder)}}))
    found = results(root)
    peaks = {}
    for label, result in found.items():
        assert result.status is Status.OK, result.reason
        assert result.costs
        assert result.costs.memory
        assert result.costs.memory.training
        peaks[label] = result.costs.memory.training.bytes
    weights = 4 * model.num_parameters()  # in fp32, however it was saved
    assert weights > 100 * 2**20
    grown = peaks["distill"] - peaks["full"]
    assert 0.9 * weights < grown < 1.3 * weights


@pytest.mark.parametrize("place", ["ray", "slurm"])
def test_clusters_keep_the_order(root: Path, place: str) -> None:
    pytest.importorskip("ray" if place == "ray" else "submitit")
    options = {"cluster": "local"} if place == "slurm" else {}
    executor = (RayExecutor if place == "ray" else SlurmExecutor)(workers=2, options=options)
    rows = {**PAIR, "slow": {"method": "pupil", "teacher": "dunce"}, "dunce": {}}
    run(plan_pupils(root, rows), executor)
    here = root.with_name("here")
    run(plan_pupils(here, rows))
    found, expected = results(root), results(here)
    assert {label: (r.key, r.status, r.scores) for label, r in found.items()} == {
        label: (r.key, r.status, r.scores) for label, r in expected.items()
    }
    assert found["pupil"].status is Status.OK
    assert found["slow"].status is Status.SKIPPED
    assert found["pupil"].training
    assert expected["pupil"].training
    assert found["pupil"].training.loss == expected["pupil"].training.loss
