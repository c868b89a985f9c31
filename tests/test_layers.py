"""Imports run downwards only, and the built-in methods use what any plugin may use."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import sparsebench
import sparsebench.method_registry
import sparsebench.models

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(sparsebench.__file__).parent
METHODS = ROOT.parent / "methods" / "sparsebench_methods"

DESIGN = ROOT.parent / "docs" / "design.md"


def _layers() -> list[set[str]]:
    """Reads the table in docs/design.md: each part imports from the rows below its own."""
    table = DESIGN.read_text(encoding="utf-8").split("## Layers")[1].split("##")[0]
    cells = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    return [set(re.findall(r"`(\w+)`", cell)) for cell in cells]


LAYERS = _layers()

FACADE = {"__init__", "__main__"}
"""The entry points of the package: they may import any part, and no part imports them."""


def _imports(node: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Yields line, module and imported name; what only type checkers see is left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            for other in child.orelse:
                yield from _imports(other)
        elif isinstance(child, ast.Import):
            yield from ((child.lineno, alias.name, "") for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "relative imports hide where they lead"
            yield from ((child.lineno, str(child.module), alias.name) for alias in child.names)
        else:
            yield from _imports(child)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def _part(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def _level(part: str) -> int:
    levels = [level for level, parts in enumerate(LAYERS) if part in parts]
    assert len(levels) == 1, f"{part!r} has no place in the table of docs/design.md: give it one"
    return levels[0]


@pytest.mark.parametrize("file", _files(ROOT), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_run_downwards(file: Path) -> None:
    part = _part(file)
    if part in FACADE:
        return
    for line, module, name in _imports(ast.parse(file.read_text(encoding="utf-8"))):
        package, *inner = module.split(".")
        assert package != "sparsebench_methods", f"{file}:{line}: the harness knows no method"
        if package != "sparsebench":
            continue
        imported = inner[0] if inner else name
        upwards = imported != part and _level(imported) <= _level(part)
        assert not upwards, f"{file}:{line}: {part} must not import {imported}"


@pytest.mark.parametrize("file", _files(METHODS), ids=lambda file: str(file.relative_to(METHODS)))
def test_built_in_methods_import_only_what_is_public(file: Path) -> None:
    modules = (sparsebench, sparsebench.method_registry, sparsebench.models)
    public = {module.__name__: module.__all__ for module in modules}
    for line, module, name in _imports(ast.parse(file.read_text(encoding="utf-8"))):
        where = f"{file}:{line}: {module}.{name}"
        if module.split(".")[0] != "sparsebench":
            continue
        if module.startswith("sparsebench.sparsity"):
            assert not name.startswith("_"), where
        else:
            assert module in public, where
            assert name in public[module], where


def test_every_part_has_one_place() -> None:
    parts = [part for layer in LAYERS for part in layer]
    assert len(parts) == len(set(parts))
    for file in _files(ROOT):
        if _part(file) not in FACADE:
            _level(_part(file))
    assert set(parts) <= {_part(file) for file in _files(ROOT)}
