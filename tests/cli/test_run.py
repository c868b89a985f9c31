"""``sparsebench run`` and ``plan`` as a user meets them: real runs of the quick suite."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from typing import TYPE_CHECKING

import pytest
from command_line import sparsebench, start
from plugins import install

from sparsebench.results import Status, Store

if TYPE_CHECKING:
    from pathlib import Path

SHORT = ("--budget", "6 steps", "--set", "costs.seconds=0.01", "--tasks", "toy-cola")

CULPRITS = """
import os, torch
from sparsebench import Method

class Plain(Method):
    def prepare(self, backbone):
        return backbone.model

class Raises(Plain):
    def before_step(self, model, progress):
        if progress > 0.5:
            raise RuntimeError("no further | than half")

class Dies(Plain):
    def deploy(self, model):
        print("last words", flush=True)
        os._exit(7)

class Diverges(Plain):
    def penalty(self, model):
        return torch.tensor(float("nan"))

class Exhausts(Plain):
    def prepare(self, backbone):
        raise torch.OutOfMemoryError("tried to allocate too much")
"""


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """A folder with a package of methods, most of which fail."""
    folder = tmp_path / "site"
    names = ("Plain", "Raises", "Dies", "Diverges", "Exhausts")
    install(
        folder,
        "culprits",
        group="sparsebench.methods",
        points={name.lower(): f"culprits:{name}" for name in names},
        culprits=CULPRITS,
    )
    return folder


def test_a_suite_runs_once_and_is_then_left_alone(tmp_path: Path) -> None:
    command = ("run", "quick", *SHORT, "--models", "quick/bert,quick/t5", "--methods", "full,lora")
    code, output = sparsebench(*command, cwd=tmp_path)
    assert code == 0, output
    assert "No row is dense" not in output
    results = list(Store(tmp_path / "runs"))
    assert [result.status for result in results] == [Status.OK] * 4
    for result in results:
        assert result.score is not None
        assert result.training is not None
        assert result.training.steps == 6
        assert result.costs is not None
        assert not result.costs.missing
        assert result.costs.parameters is not None
        assert result.costs.density is not None
        assert result.costs.density.data == "64 examples of validation"
        assert [runtime.efficiency is not None for runtime in result.costs.runtimes] == [True]
        assert result.costs.memory is not None
        assert result.costs.memory.training is not None
        assert result.provenance is not None
        assert "run quick" in result.provenance.command
        assert str(tmp_path) not in result.model_dump_json()
    rows = (tmp_path / "runs").glob("*/predictions.jsonl")
    assert {len(file.read_text().splitlines()) for file in rows} == {500}
    assert "| full" in (tmp_path / "runs" / "leaderboard.md").read_text()
    assert not list((tmp_path / "runs" / ".work").iterdir())

    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "runs").glob("*/*")}
    code, output = sparsebench(*command, cwd=tmp_path)
    assert code == 0
    assert "Nothing to run" in output
    assert before == {file: file.stat().st_mtime_ns for file in (tmp_path / "runs").glob("*/*")}

    for again in (("verify", "runs"), command):
        assert sparsebench(*again, cwd=tmp_path)[0] == 0
    assert "recomputed" in (tmp_path / "runs" / "leaderboard.md").read_text()


def test_what_fails_is_a_row_with_its_reason_and_the_rest_goes_on(
    tmp_path: Path, plugins: Path
) -> None:
    methods = "raises,dies,diverges,exhausts,plain"
    command = ("run", "quick", *SHORT, "--models", "quick/bert", "--methods", methods)
    code, output = sparsebench(*command, cwd=tmp_path, PYTHONPATH=str(plugins))
    assert code == 1
    results = {result.spec.method.label: result for result in Store(tmp_path / "runs")}
    reasons = {label: (result.status, result.reason) for label, result in results.items()}
    assert reasons == {
        "raises": (Status.ERROR, "RuntimeError: no further | than half"),
        "dies": (Status.ERROR, "the process ended with exit code 7"),
        "diverges": (Status.DIVERGED, "the loss is nan at step 1 of 6"),
        "exhausts": (Status.OOM, "tried to allocate too much"),
        "plain": (Status.OK, None),
    }
    assert "before_step" in (results["raises"].traceback or "")
    assert "last words" in (results["dies"].traceback or "")
    assert "Traceback" not in output

    code, output = sparsebench(*command, cwd=tmp_path, PYTHONPATH=str(plugins))
    assert (code, "Nothing to run" in output) == (1, True)
    code, output = sparsebench(*command, "--retry-failed", cwd=tmp_path, PYTHONPATH=str(plugins))
    assert "4 runs pending" in output


def test_a_combination_that_makes_no_sense_is_skipped_with_its_reason(tmp_path: Path) -> None:
    command = ("run", "quick", *SHORT, "--models", "quick/t5,quick/bert", "--methods", "bitfit")
    code, output = sparsebench(*command, cwd=tmp_path)
    assert code == 0
    assert "No row is dense: add 'full' to the methods" in output
    results = {result.spec.model: result for result in Store(tmp_path / "runs")}
    assert results["quick/bert"].status is Status.OK
    assert results["quick/t5"].status is Status.SKIPPED
    assert "bias" in (results["quick/t5"].reason or "")


def test_a_suite_without_any_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    sizes = ("--set", "costs.length=32", "--set", "training.max_length=48", "--data", "data")
    choice = ("--models", "quick/bert", "--tasks", "rte,mrpc", "--methods", "full")
    code, output = sparsebench("run", "glue", *sizes, *choice, cwd=tmp_path)
    assert code == 2, output
    assert "nothing can run" in output
    for task in ("RTE", "MRPC"):
        assert output.count(f"there is no data/{task}/train.tsv") == 1
    assert not (tmp_path / "runs").exists()


def test_a_torn_file_of_predictions_costs_an_interval_and_not_the_leaderboard(
    tmp_path: Path,
) -> None:
    command = ("run", "quick", *SHORT, "--models", "quick/bert", "--methods", "head")
    assert sparsebench(*command, cwd=tmp_path)[0] == 0
    (file,) = (tmp_path / "runs").glob("*/predictions.jsonl")
    file.write_bytes(file.read_bytes()[:-5])
    (tmp_path / "runs" / "leaderboard.md").unlink()

    code, output = sparsebench(*command, cwd=tmp_path)

    assert code == 0, output
    assert "warning: " in output
    assert "no readable predictions" in output
    assert (tmp_path / "runs" / "leaderboard.md").exists()


def test_a_dry_run_and_a_plan_run_nothing(tmp_path: Path) -> None:
    choice = ("--models", "quick/bert", "--methods", "head")
    code, output = sparsebench("run", "quick", *SHORT, *choice, "--dry-run", cwd=tmp_path)
    assert (code, "1 run" in output) == (0, True), output
    code, planned = sparsebench("plan", "quick", *SHORT, *choice, cwd=tmp_path)
    assert code == 0
    assert planned == output
    assert not (tmp_path / "runs").exists()


def test_a_row_brings_its_teacher_and_resumes_after_a_kill(tmp_path: Path) -> None:
    choice = ("--models", "quick/bert", "--methods", "distill", "--budget", "60 steps")
    often = ("--set", "training.checkpoint_every=5", "--set", "training.precision=fp32")
    command = ("run", "quick", *SHORT, *choice, *often)
    code, planned = sparsebench("plan", *command[1:], cwd=tmp_path)
    assert code == 0, planned
    assert re.search(r"full +1 +run \(teaches distill\)", planned), planned
    assert re.search(r"distill +1 +run \(learns from full\)", planned), planned
    process = start(*command, cwd=tmp_path)
    deadline = time.monotonic() + 240
    while not list((tmp_path / "runs" / ".work").glob("*--distill--*/stage-0/checkpoint-*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    code, output = sparsebench(*command, cwd=tmp_path)
    assert code == 0, output
    assert "1 run pending, 1 cached" in output
    assert "distill learns from full: its training 60 steps" in " ".join(output.split())
    code, _ = sparsebench(*command, "--output", "whole", cwd=tmp_path)
    assert code == 0
    losses = [
        {r.spec.method.label: r.training and r.training.loss for r in Store(tmp_path / folder)}
        for folder in ("runs", "whole")
    ]
    assert losses[0] == losses[1]


def test_a_kill_in_the_middle_loses_and_repeats_nothing(tmp_path: Path) -> None:
    choice = ("--models", "quick/bert,quick/roberta", "--methods", "head,full")
    command = ("run", "quick", *SHORT, *choice)
    process = start(*command, cwd=tmp_path)
    deadline = time.monotonic() + 240
    while not (done := list((tmp_path / "runs").glob("*/result.json"))):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    first = {file: file.read_bytes() for file in done}
    code, output = sparsebench(*command, cwd=tmp_path)
    assert code == 0, output
    assert {file: file.read_bytes() for file in first} == first
    results = list(Store(tmp_path / "runs"))
    assert [result.status for result in results] == [Status.OK] * 4
    for file in (tmp_path / "runs").glob("*/predictions.jsonl"):
        assert [json.loads(line)["split"] for line in file.read_text().splitlines()]


def test_ctrl_c_says_how_to_go_on_and_leaves_no_row(tmp_path: Path) -> None:
    choice = ("--models", "quick/bert", "--methods", "full", "--tasks", "toy-cola")
    process = start("run", "quick", *choice, "--budget", "5000 steps", cwd=tmp_path)
    deadline = time.monotonic() + 240
    while not list((tmp_path / "runs" / ".work").glob("*/log.txt")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 130, output
    assert "Ctrl-C again stops at once" in output
    assert "the same command resumes them" in output
    assert "Traceback" not in output
    assert list(Store(tmp_path / "runs")) == []


def test_a_deployed_model_is_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    import sparsebench as package

    choice = ("run", "quick", *SHORT, "--models", "quick/bert", "--methods", "lora")
    code, output = sparsebench(*choice, cwd=tmp_path)
    assert code == 0, output
    assert not list((tmp_path / "runs").glob("*/deployed"))
    for said in ("1 run pending", "Nothing to run"):
        code, output = sparsebench(*choice, "--keep-models", cwd=tmp_path)
        assert (code, said in output) == (0, True), output
    (folder,) = (tmp_path / "runs").glob("*/deployed")
    assert package.load(folder).config.model_type == "bert"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--executor", "locl"), "unknown executor 'locl'; did you mean 'local'?"),
        (("--executor", "ray", "-x", "adress=auto"), "unknown key; did you mean 'address'?"),
        (("-x", "gpu=2"), "unknown key; did you mean 'gpus'?"),
        (("-x", "gpus=64"), "-x gpus=64: this machine has"),
        (("--time-limit", "2 moons"), "--time-limit: limits.time: '2 moons' is not a limit"),
        (("--methods", "lorra"), "did you mean 'lora'?"),
        (("--models", "quick/brt"), "did you mean 'quick/bert'?"),
        (("--tasks", "toy-colla"), "did you mean 'toy-cola'?"),
        (("--set", "lora.rank=3"), "rank"),
        (("--budget", "3 moons"), "'3 moons' is not a budget"),
    ],
)
def test_a_mistake_is_one_message(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    code, output = sparsebench("run", "quick", *SHORT[2:4], *arguments, cwd=tmp_path)
    assert code == 2
    assert message in output
    assert "Traceback" not in output
    assert not (tmp_path / "runs").exists()
