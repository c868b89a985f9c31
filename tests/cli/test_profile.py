"""``sparsebench profile`` as a user meets it: tables, files, and mistakes that are told."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SHORT = (
    "--batch-sizes=1",
    "--lengths=8",
    "--devices=cpu",
    "--set=profile.fresh_memory=false",
    "--set=profile.rounds=3",
    "--set=profile.seconds=0",
    "--set=profile.limit=1",
)


def test_methods_on_backbones(cli: Any) -> None:
    said = cli(
        *("profile", "--models", "quick/bert", "--methods", "full,magnitude", *SHORT),
        *("--set", "magnitude.sparsity=0.8", "--format", "csv"),
    )
    assert said.code == 0, said.err
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert {row["method"] for row in rows} == {"full", "magnitude"}
    dense = {row["method"]: row for row in rows if row["runtime"] == "dense"}
    assert float(dense["magnitude"]["parameters_encoder_sparsity"]) == pytest.approx(0.8, abs=0.01)
    assert dense["full"]["flops_matrix"] == dense["magnitude"]["flops_matrix"]
    assert dense["full"]["flops_status"] == "verified"
    lacking = [row for row in rows if row["runtime"] == "2:4"]
    assert all("CUDA" in row["runtime_reason"] and not row["latency_ratio"] for row in lacking)


def test_a_method_with_a_teacher_is_measured_alone(cli: Any) -> None:
    said = cli(
        *("profile", "--models", "quick/bert", "--methods", "distill", *SHORT),
        *("--set", "distill.student=dsee", "--set", "distill.hidden=0.5", "--format", "json"),
    )
    assert said.code == 0, said.err
    rows = [row for row in json.loads(said.out)["rows"] if row["status"] == "ok"]
    assert {row["spec"]["method"]["label"] for row in rows} == {"distill"}
    assert "distill: settings.support=random stands for its default" in said.out


def test_markdown_names_what_is_missing(cli: Any) -> None:
    said = cli(
        *("profile", "--models", "quick/t5", "--methods", "bitfit,full", "--devices", "cpu,gpu"),
        *(*SHORT[:2], *SHORT[3:], "--generate", "3", "--break-even", "--format", "md"),
    )
    assert said.code == 0, said.err
    assert "unknown device 'gpu'" in said.out
    assert "untrained weights" in said.out
    assert "bitfit, batch 1: skipped" in said.out
    assert "GMACs, prefill" in said.out
    assert "faster from" in said.out


def test_nothing_measured_is_a_failure(cli: Any) -> None:
    said = cli("profile", "--models", "quick/bert", "--methods", "full", "--lengths", "500")

    assert said.code == 1
    assert "ask for shorter ones (--lengths" in said.out


def test_a_suite_is_profiled_and_resumed(cli: Any, tmp_path: Path) -> None:
    suite = tmp_path / "mine.yaml"
    suite.write_text(
        "name: mine\nmodels: [quick/gpt2]\nmethods: [full]\n"
        "profile: {batch_sizes: [1], lengths: [8], devices: [cpu], fresh_memory: false, "
        "rounds: 3, seconds: 0, limit: 1}\n"
    )
    command = ("profile", str(suite), "--output", str(tmp_path / "kept"), "--format", "json")
    first, second = cli(*command), cli(*command)
    assert first.code == second.code == 0, first.err
    assert json.loads(first.out) == json.loads(second.out)
    (file,) = (tmp_path / "kept").glob("*.json")
    assert "quick-gpt2--full--cpu--float32--b1-l8" in file.name
    assert cli("run", str(suite)).code == 2
    assert "it has no tasks, only costs" in cli("plan", str(suite)).err
    assert cli("validate", str(suite)).code == 0


def test_a_deployed_folder_adds_costs_to_its_result(cli: Any, tmp_path: Path) -> None:
    made = cli(
        *("run", "quick", "--tasks", "toy-cola", "--models", "quick/bert", "--methods", "full"),
        *("--budget", "2 steps", "--set", "costs.seconds=0.01", "--keep-models", "-o", "runs"),
    )
    assert made.code == 0, made.err
    (folder,) = (tmp_path / "runs").glob("toy-cola--*/deployed")
    settings = [option for option in SHORT if "magnitude" not in option]
    said = cli("profile", str(folder), *settings, "--format", "json")
    assert said.code == 0, said.err
    (row,) = json.loads(said.out)["rows"]
    assert row["spec"]["trained"]
    assert row["spec"]["method"]["label"] == "full"
    assert row["costs"]["storage"]["per_task"] > 0
    assert not any("differs from what its run stored" in note for note in row["notes"])
    (kept,) = (folder.parent / "costs").glob("*.json")
    assert json.loads(kept.read_text())["key"] == row["key"]

    (folder / "tokenizer_config.json").write_text("{}")
    again = cli("profile", str(folder), *settings, "--format", "md")
    assert "differs from what its run stored: deployed/tokenizer_config.json" in again.out


MISTAKES = [
    ((), "name a suite, or a deployed folder, or --models and --methods"),
    (("--models", "quick/bert"), "name a suite"),
    (("--models", "random:bert-bse", "--methods", "full"), "did you mean 'bert-base'?"),
    (("--models", "quick/bert", "--methods", "ful"), "--methods: unknown method 'ful'"),
    (
        ("--models", "quick/bert", "--methods", "full", "--dtypes", "float23"),
        "--dtypes: profile.dtypes.0: unknown value 'float23'; did you mean 'float32'?",
    ),
    (
        ("--models", "quick/bert", "--methods", "full", "--runtimes", "crs"),
        "--runtimes: profile.runtimes: unknown runtime 'crs'; did you mean 'csr'?",
    ),
    (
        ("--models", "quick/bert", "--methods", "full", "--batch-sizes", "one"),
        "--batch-sizes: 'one' is no whole number",
    ),
    (
        ("--models", "quick/bert", "--methods", "full", "--lengths", "0"),
        "--lengths: profile.lengths.0: should be greater than or equal to 1, not 0",
    ),
    (("nowhere",), "unknown suite 'nowhere'"),
    ((".",), "is not a deployed model"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES)
def test_mistakes_are_told_in_one_line(cli: Any, arguments: tuple[str, ...], message: str) -> None:
    said = cli("profile", *arguments)
    assert said.code == 2
    assert message in " ".join(said.err.split())
