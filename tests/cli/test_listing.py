"""``list`` shows what is installed, and a broken plugin with what is wrong with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from plugins import METHOD, install

from sparsebench.method_registry import METHODS, configure, refusal
from sparsebench.models import Family, Form

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Said

WHAT = ("methods", "tasks", "models", "suites", "executors")


@pytest.mark.parametrize("what", WHAT)
def test_everything_that_is_listed_has_a_name(cli: Callable[..., Said], what: str) -> None:
    said = cli("list", what, "--format", "json")
    assert said.code == 0
    rows = json.loads(said.out)
    assert rows
    assert all(row["name"] for row in rows)


@pytest.mark.parametrize(
    ("what", "name"),
    [("methods", "lora"), ("tasks", "mrpc"), ("models", "random:gpt2"), ("suites", "glue")],
)
def test_a_pipe_gets_one_line_a_name(cli: Callable[..., Said], what: str, name: str) -> None:
    lines = cli("list", what).out.splitlines()
    assert lines[0].split()[0] == "name"
    assert sum(line.split()[0] == name for line in lines if line) == 1


class TestMatrix:
    def test_it_is_what_each_method_says_of_itself(self, cli: Callable[..., Said]) -> None:
        said = cli("list", "methods", "--matrix", "--format", "json")
        rows = json.loads(said.out)
        assert {row["family"] for row in rows} == {"bert", "roberta", "gpt2", "t5"}
        assert {row["method"].partition(":")[0] for row in rows} == set(METHODS)
        for row in rows:
            if ":" not in row["method"]:
                method = configure(row["method"], {})
                assert row["refused"] == refusal(method, Family(row["family"]), Form(row["form"]))
        shira = {row["family"]: row["refused"] for row in rows if row["method"] == "peft: shira"}
        assert "Conv1D" in shira["gpt2"]
        assert shira["bert"] is None

    def test_variants_share_a_reason(self, cli: Callable[..., Said]) -> None:
        said = cli("list", "methods", "--matrix")
        assert said.code == 0, said
        cells = dict(line.split(maxsplit=1) for line in said.out.splitlines() if line.strip())
        assert cells["lora"].split() == ["yes"] * 4
        assert said.out.count("Conv1D") == 1
        assert "peft: p_tuning" in said.out
        assert "glue (" in said.out

    def test_it_is_for_methods(self, cli: Callable[..., Said]) -> None:
        said = cli("list", "tasks", "--matrix")
        assert said.code == 2
        assert "--matrix is for methods" in said.err


def test_what_cannot_be_listed_says_what_can(cli: Callable[..., Said]) -> None:
    said = cli("list", "method")
    assert said.code == 2
    assert "'methods'" in said.err


class TestPlugins:
    """In a process of their own, as the registries are read once."""

    def methods(self, site: Path) -> dict[str, dict[str, Any]]:
        arguments = [sys.executable, "-m", "sparsebench", "list", "methods", "--format", "json"]
        path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
        done = subprocess.run(
            arguments,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        return {row["name"]: row for row in json.loads(done.stdout)}

    def test_a_plugin_is_listed_beside_the_built_in_methods(self, tmp_path: Path) -> None:
        points = {"turn": "turn:Turn", "gone": "no_module:X", "full": "turn:Turn"}
        install(tmp_path, "knobs", group="sparsebench.methods", points=points, turn=METHOD)
        rows = self.methods(tmp_path)
        assert rows["turn"] == {
            "name": "turn",
            "package": "knobs 1.0",
            "paper": "arXiv:0000.00000",
            "version": "1",
            "summary": "Turns knobs.",
            "error": None,
        }
        assert "ModuleNotFoundError" in rows["gone"]["error"]
        assert "knobs 1.0" in rows["full"]["error"]
        assert rows["head"]["error"] is None
