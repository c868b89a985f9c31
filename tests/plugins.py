"""Packages with entry points, laid out in a folder as pip would install them."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

METHOD = '''
from pydantic import Field
from sparsebench import Method, MethodConfig

class Config(MethodConfig):
    """Settings."""
    knobs: int = Field(default=3, ge=1)
    """How many knobs are turned."""

class Turn(Method):
    """Turns knobs."""
    Config = Config
    paper = "arXiv:0000.00000"
    def refuses(self, family, form):
        return "it has no knobs" if family == "t5" else None
    def prepare(self, backbone):
        return backbone.model
'''
"""A method with one setting that refuses T5."""


def install(
    folder: Path, package: str, *, group: str, points: dict[str, str], **modules: str
) -> None:
    """Lays out a package.

    Args:
        folder: A folder on the path of modules.
        package: The name of the distribution; its version is 1.0.
        group: The group of its entry points.
        points: Name -> target of its entry points.
        modules: Name -> source of its modules.
    """
    info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    lines = [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source, encoding="utf-8")


def install_in_place(folder: Path) -> None:
    """Writes the metadata of a package with a ``src`` folder beside its source, as pip would."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = project["name"], project["version"]
    for group, points in project["entry-points"].items():
        source = folder / "src"
        install(source, name, group=group, points=points)
        (source / f"{name.replace('-', '_')}-1.0.dist-info" / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8"
        )


def python(package: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Python in the folder of a package that ``install_in_place`` has installed."""
    path = os.pathsep.join([str(package / "src"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=package,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
