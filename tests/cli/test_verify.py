"""``sparsebench verify`` as a user meets it."""

from __future__ import annotations

import json
import shutil
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
from factories import make_answered

from sparsebench.execution.verification.rerun import RerunOutcome
from sparsebench.results import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Said

    from sparsebench.results.records import RunResult

VERIFY = import_module("sparsebench.cli.verify")
"""The module; the package has the command under its name."""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    store = Store(tmp_path / "results")
    for seed in (1, 2):
        result, rows = make_answered([0, 1, 1, 1], [0, 1, 0, 1], seed=seed)
        store.write(result, predictions=rows)
    return store.root


def test_what_is_sound_is_shown_on_the_leaderboard(cli: Callable[..., Said], results: Path) -> None:
    assert "verified" not in cli("leaderboard", str(results)).out.split("_Scores")[0]

    said = cli("verify", str(results))

    assert (said.code, said.out.splitlines()[0]) == (0, "2 results: 2 recomputed")
    assert "not proved: that a model made these predictions (--rerun)" in said.out
    assert "| recomputed" in cli("leaderboard", str(results)).out


def test_an_edited_number_is_named_and_counts_as_reported(
    cli: Callable[..., Said], results: Path
) -> None:
    cli("verify", str(results))
    file = Store(results).runs()[0].folder / "result.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "score": 0.99}))

    assert "| recomputed" not in cli("leaderboard", str(results)).out
    said = cli("verify", str(results))

    assert said.code == 1
    assert f"{file.parent.name}: its score is 0.99, but its predictions give 0.775" in said.out
    assert "2 results: 1 recomputed, 1 WRONG" in said.out.splitlines()


def test_a_run_is_made_again_and_agrees(cli: Callable[..., Said], tmp_path: Path) -> None:
    short = ("--budget", "3 steps", "--set", "costs.seconds=0", "--tasks", "toy-cola")
    chosen = ("--models", "quick/bert", "--methods", "head")
    assert cli("run", "quick", *short, *chosen, "--output", "out").code == 0

    said = cli("verify", "out", "--rerun", "1", "--tolerance", "0.001")

    assert "now: agrees (within 0.001)" in said.out
    assert said.code == 0
    assert "1 result: 1 rerun" in said.out.splitlines()
    assert "1 result: 1 rerun" in cli("verify", "out").out.splitlines()


def test_a_run_is_rerun_only_while_what_was_made_again_agrees(
    cli: Callable[..., Said], results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made_again(now: float) -> None:
        monkeypatch.setattr(
            VERIFY, "_rerun", lambda runs, **_: [RerunOutcome(run, now) for run in runs]
        )

    stored = next(iter(Store(results))).score
    assert stored is not None
    made_again(stored + 0.5)
    lenient = cli("verify", str(results), "--rerun", "2", "--tolerance", "1")
    assert (lenient.code, lenient.out.splitlines()[-2]) == (0, "2 results: 2 recomputed")
    made_again(stored)
    assert "2 results: 2 rerun" in cli("verify", str(results), "--rerun", "2").out.splitlines()
    made_again(stored - 0.1)
    said = cli("verify", str(results), "--rerun", "1")
    assert said.code == 1
    assert "2 results: 1 rerun, 1 recomputed" in said.out.splitlines()


def test_evidence_is_of_the_predictions_too(cli: Callable[..., Said], results: Path) -> None:
    cli("verify", str(results))
    for file in results.glob("*/predictions.jsonl"):
        file.write_text("junk")

    assert "| recomputed" not in cli("leaderboard", str(results)).out


def test_a_torn_record_of_evidence_is_written_anew(cli: Callable[..., Said], results: Path) -> None:
    (results / "verified.json").write_text("{")
    assert "delete it, and verify again" in cli("leaderboard", str(results)).err

    said = cli("verify", str(results))

    assert (said.code, said.out.splitlines()[0]) == (0, "2 results: 2 recomputed")
    assert "warning" in said.err
    assert cli("leaderboard", str(results)).code == 0


def test_a_copy_that_is_wrong_is_not_made_again(
    cli: Callable[..., Said], results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[float | None] = []

    def again(runs: list[RunResult], **_: object) -> list[RerunOutcome]:
        drawn.extend(run.score for run in runs)
        return []

    monkeypatch.setattr(VERIFY, "_rerun", again)
    run = Store(results).runs()[0].folder
    shutil.copytree(run, results / "zcopy")
    content = json.loads((run / "result.json").read_text())
    (results / "zcopy" / "result.json").write_text(json.dumps({**content, "score": 0.99}))

    assert cli("verify", str(results), "--rerun", "5").code == 1
    assert drawn == [content["score"]] * 2


def test_a_run_that_cannot_be_made_again_says_why(cli: Callable[..., Said], results: Path) -> None:
    said = cli("verify", str(results), "--rerun", "1", "--data", str(results))

    assert said.code == 1
    assert "could not be rerun" in said.out


def test_mistakes_are_told(cli: Callable[..., Said], tmp_path: Path) -> None:
    assert "no such folder" in cli("verify", "absent").err
    assert "there are no results" in cli("verify", str(tmp_path)).err


def test_json_is_all_that_is_printed(cli: Callable[..., Said], results: Path) -> None:
    said = cli("verify", str(results), "--format", "json")
    found = json.loads(said.out)
    assert (said.code, found["results"], found["faults"]) == (0, 2, [])
    assert set(found["verified"].values()) == {"recomputed"}
