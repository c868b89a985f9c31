"""The package that ``new-method`` writes is a method like any other, and its tests pass."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from sparsebench.cli.new_method import write_package

if TYPE_CHECKING:
    from pathlib import Path


MODULE = "sparsebench_my_method"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, with the metadata beside its source that installing it would write."""
    folder = tmp_path_factory.mktemp("new") / "my-method"
    write_package("my-method", folder)
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = folder / "src" / f"{MODULE}-{project['version']}.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(head, encoding="utf-8")
    points = project["entry-points"]["sparsebench.methods"]
    lines = ["[sparsebench.methods]", *(f"{name} = {target}" for name, target in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def python(package: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(package / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_its_own_tests_pass(package: Path) -> None:
    done = python(package, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
    assert "16 passed, 4 skipped" in done.stdout


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
