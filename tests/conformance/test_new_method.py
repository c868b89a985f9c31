"""The package that ``new-method`` writes is a method like any other, and its tests pass."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from plugins import install_in_place, python

from sparsebench.cli.new_method import Kind, write_package

if TYPE_CHECKING:
    from pathlib import Path


MODULE = "sparsebench_my_method"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new") / "my-method"
    write_package("my-method", folder)
    install_in_place(folder)
    return folder


def test_its_own_tests_pass(package: Path) -> None:
    done = python(package, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
    assert re.search(r"^1[67] passed, 5 skipped", done.stdout, re.MULTILINE), done.stdout


def test_the_tests_of_one_with_a_teacher_pass(tmp_path: Path) -> None:
    folder = tmp_path / "my-pupil"
    write_package("my-pupil", folder, Kind.TEACHER)
    install_in_place(folder)
    done = python(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
    only = ("--only", "teacher_stays_unchanged")
    done = python(folder, "-m", "sparsebench", "check", "my-pupil", *only)
    assert re.search(r"^teacher_stays_unchanged +pass", done.stdout, re.MULTILINE)
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert "--set my-pupil.temperature=4" in readme
    assert "$" not in readme


@pytest.mark.parametrize(
    ("kind", "setting"), [(Kind.DATA, "share=0.01"), (Kind.OPTIMIZER, "beta=0.95")]
)
def test_the_tests_of_one_with_data_or_an_optimizer_pass(
    kind: Kind, setting: str, tmp_path: Path
) -> None:
    folder = tmp_path / "my-own"
    write_package("my-own", folder, kind)
    install_in_place(folder)
    done = python(folder, "-m", "sparsebench", "check", "my-own", "--families", "bert,gpt2")
    assert done.returncode == 0, done.stdout
    assert f"--set my-own.{setting}" in (folder / "README.md").read_text(encoding="utf-8")


def test_it_is_listed_as_installed(package: Path) -> None:
    done = python(package, "-m", "sparsebench", "list", "methods")
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("my-method "))
    assert "sparsebench-my-method 0.1.0" in line
    assert "Trains the last blocks and the task head, and freezes the rest." in line


def test_the_method_is_one_short_file(package: Path) -> None:
    text = (package / "src" / MODULE / "__init__.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 40
    compile(text, "method", "exec")
    assert "$" not in text
