"""``new-method`` writes a package, and says what is wrong with a name or a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Said


def test_a_package_is_written_where_it_is_told(cli: Callable[..., Said]) -> None:
    said = cli("new-method", "my_sparse-method2", "--to", "some where/pkg")
    assert said.code == 0, said
    files = {str(path) for path in Path("some where/pkg").rglob("*") if path.is_file()}
    assert files == {
        f"some where/pkg/{name}"
        for name in (
            "README.md",
            "pyproject.toml",
            "src/sparsebench_my_sparse_method2/__init__.py",
            "tests/test_conformance.py",
        )
    }
    assert files <= set(said.out.splitlines())
    assert "pip install -e 'some where/pkg'" in said.out
    project = Path("some where/pkg/pyproject.toml").read_text(encoding="utf-8")
    target = "sparsebench_my_sparse_method2:MySparseMethod2"
    assert f'my_sparse-method2 = "{target}"' in project


def test_the_folder_has_the_name_by_default(cli: Callable[..., Said]) -> None:
    assert cli("new-method", "mine").code == 0
    assert Path("mine/pyproject.toml").is_file()


def test_nothing_is_overwritten(cli: Callable[..., Said]) -> None:
    Path("mine").mkdir()
    assert cli("new-method", "mine").code == 0
    before = Path("mine/README.md").read_bytes()
    Path("mine/README.md").write_bytes(before + b"own words")
    said = cli("new-method", "mine")
    assert said.code == 2
    assert "mine exists and is not empty" in said.err
    assert Path("mine/README.md").read_bytes() == before + b"own words"
    Path("file").touch()
    assert "file exists" in cli("new-method", "mine", "--to", "file").err
    assert "cannot be written" in cli("new-method", "mine", "--to", "file/below").err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My Method!", "did you mean 'my-method'?"),
        ("2nd-order", "did you mean 'nd-order'?"),
        ("---", "'---' is no name for a method"),
        ("a--b", "did you mean 'a-b'?"),
        ("../up", "did you mean 'up'?"),
        ("lora", "the name 'lora' is taken, by sparsebench"),
        ("training", "is reserved in suites"),
        ("methods", "is reserved"),
    ],
)
def test_a_name_that_cannot_be_is_refused(
    cli: Callable[..., Said], name: str, message: str
) -> None:
    said = cli("new-method", "--", name)
    assert said.code == 2
    assert message in said.err
    assert list(Path().iterdir()) == []
