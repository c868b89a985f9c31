"""Recipes: settings of methods that run only when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sparsebench.errors.problems import Severity
from sparsebench.method_registry import METHODS
from sparsebench.suite.files import read_suite, suites
from sparsebench.suite.overrides import Overrides
from sparsebench.suite.validation import problems

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = ("quick", "glue", "squad", "e2e", "reference")

TEXT = """
name: mine
tasks: [toy-cola]
models: [quick/bert]
costs: {length: 32}
methods:
  full:
recipes:
  dsee: {learning_rate: 2.0e-3}
  small: {method: distill, teacher: full, student: lora}
  lora: {learning_rate: 5.0e-3}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_they_are_no_rows_unless_they_are_named(file: Path) -> None:
    assert list(read_suite(file).suite.methods) == ["full"]
    read = read_suite(file, Overrides(methods=("dsee", "bitfit"), sets=("dsee.rank=4",)))
    assert not read.problems
    settings = {label: entry.settings for label, entry in read.suite.methods.items()}
    assert settings == {"dsee": {"learning_rate": 2e-3, "rank": 4}, "bitfit": {}}


def test_their_teachers_come_with_them(file: Path) -> None:
    assert set(read_suite(file, Overrides(methods=("small",))).suite.methods) == {"small", "full"}


def test_their_mistakes_are_found_although_they_do_not_run(file: Path) -> None:
    file.write_text(TEXT.replace("dsee: {learning_rate", "dsee: {learning_rat"), encoding="utf-8")
    (problem,) = [
        p for p in problems(read_suite(file), recipes=True) if p.severity is Severity.ERROR
    ]
    assert problem.where == f"{file}:9"
    assert "learning_rate" in problem.message


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_suite_has_settings_for_every_built_in_method(name: str) -> None:
    suite = read_suite(suites()[name]).suite
    rows = {**suite.methods, **suite.recipes}
    for method, entry in METHODS.entries.items():
        if not entry.package.startswith("sparsebench ") or method == "peft":
            continue  # peft has no rate that fits all of its tuners
        assert method in rows, f"no entry for {method}"
        assert rows[method].settings or method in suite.tuned, f"no settings for {method}"
