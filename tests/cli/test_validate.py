"""``validate`` and ``run`` tell a user's mistakes in plain lines and end with exit code 2."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Said

SOUND = """\
name: sample
tasks: [rte]
models: [./bert]
methods: [full, bitfit]
seeds: [1, 2]
training: {budget: 230 steps}
"""
WRONG = """\
name: sample
tasks: [rte, mrcp]
models: [./bert]
methods:
  full: {learning_rat: 1e-4}
  lorra:
training:
  bugdet: 3 epochs
"""
RTE = "index\tsentence1\tsentence2\tlabel\n0\tA dog runs.\tA dog moves.\tentailment\n"


@pytest.fixture
def suite(tmp_path: Path) -> Callable[[str], str]:
    """Writes a suite beside a backbone and the data of RTE; returns its path."""
    (tmp_path / "bert").mkdir()
    config = {"model_type": "bert", "max_position_embeddings": 512}
    (tmp_path / "bert" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "data" / "RTE").mkdir(parents=True)
    for name in ("train.tsv", "dev.tsv"):
        (tmp_path / "data" / "RTE" / name).write_text(RTE, encoding="utf-8")

    def write(text: str) -> str:
        (tmp_path / "s.yaml").write_text(textwrap.dedent(text), encoding="utf-8")
        return "s.yaml"

    return write


def test_a_sound_suite_is_summed_up(cli: Callable[..., Said], suite: Callable[[str], str]) -> None:
    said = cli("validate", suite(SOUND), "--data", "data")
    assert said.code == 0, said
    assert said.out.splitlines() == [
        "sample: 4 runs, of 1 task, 1 backbone, 2 methods, 2 seeds",
        "budget of every method: 230 steps",
    ]


def test_every_mistake_has_a_line(cli: Callable[..., Said], suite: Callable[[str], str]) -> None:
    said = cli("validate", suite(WRONG), "--data", "data")
    assert said.code == 2
    assert said.out.splitlines() == [
        "error: s.yaml:2: tasks: unknown task 'mrcp'; did you mean 'mrpc'?",
        "error: s.yaml:5: methods.full.learning_rat: unknown key; did you mean 'learning_rate'?",
        "error: s.yaml:6: methods.lorra: unknown method 'lorra'; did you mean 'lora'?",
        "error: s.yaml:8: training.bugdet: unknown key; did you mean 'budget'?",
        "sample: 4 errors",
    ]
    assert "Traceback" not in said.err


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_run_is_refused_with_the_same_lines(
    cli: Callable[..., Said], suite: Callable[[str], str], command: str
) -> None:
    said = cli(command, suite(WRONG), "--data", "data")
    assert said.code == 2
    for line in ("s.yaml:2: ", "s.yaml:5: ", "s.yaml:6: ", "s.yaml:8: "):
        assert line in said.err
    assert "Traceback" not in said.out + said.err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "ful.learning_rate=1"), "--set ful.learning_rate=1: unknown method label"),
        (("--methods", "lorra"), "--methods: unknown method 'lorra'; did you mean 'lora'?"),
        (("--tasks", "mrcp"), "--tasks: unknown task 'mrcp'; did you mean 'mrpc'?"),
        (("--budget", "long"), "--budget: training.budget: 'long' is not a budget"),
    ],
)
def test_a_mistake_in_an_option_names_it(
    cli: Callable[..., Said], suite: Callable[[str], str], arguments: tuple[str, str], message: str
) -> None:
    said = cli("validate", suite(SOUND), "--data", "data", *arguments)
    assert said.code == 2
    assert f"error: {message}" in said.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("s.yaml", "--seeds", "1-3"), "--seeds: '1-3' is no whole number; write them as 1,2,3"),
        (("s.yaml", "--methods", ","), "--methods: name at least one"),
        (("quikc",), "unknown suite 'quikc'; did you mean 'quick'?"),
        (("s.yml",), "there is no file 's.yml'; did you mean 's.yaml'?"),
        (("runs/mine",), "there is no file 'runs/mine'"),
        ((".",), ".: a folder, not a suite"),
        (("s.yaml", "--data", "nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_started_is_one_message(
    cli: Callable[..., Said], suite: Callable[[str], str], arguments: tuple[str, ...], message: str
) -> None:
    suite(SOUND)
    said = cli("validate", *arguments)
    assert said.code == 2
    assert message in said.err
    assert "Traceback" not in said.err


def test_the_data_folder_may_be_named_by_the_environment(
    cli: Callable[..., Said], suite: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARSEBENCH_DATA", "data")
    assert cli("validate", suite(SOUND)).code == 0
    said = cli("validate", suite(SOUND), "--tasks", "mrpc")
    assert said.code == 2
    assert "MRPC" in said.out
