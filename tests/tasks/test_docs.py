"""The page for authors of tasks: its code and its commands work as written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from plugins import install_in_place, python

PAGE = Path(__file__).parents[2] / "docs" / "add-a-task.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of the page, installed, and the data that its script writes."""
    folder = tmp_path_factory.mktemp("page") / "my-task"
    module = folder / "src" / "sparsebench_my_task" / "__init__.py"
    module.parent.mkdir(parents=True)
    task, script = blocks("python")
    module.write_text(task, encoding="utf-8")
    (folder / "pyproject.toml").write_text(*blocks("toml"), encoding="utf-8")
    install_in_place(folder)
    done = python(folder, "-c", script)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_commands_run(package: Path) -> None:
    for line in blocks("sh")[0].splitlines():
        done = python(package, "-m", *shlex.split(line))
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        assert "mood" in done.stdout
        assert "error" not in done.stdout


def test_a_wrong_label_is_named(package: Path) -> None:
    folder = package / "wrong"
    folder.mkdir()
    for name in ("train", "dev"):
        (folder / f"{name}.tsv").write_text("text\tlabel\nthe robin\tangry\n", encoding="utf-8")
    arguments = ("run", "quick", "--tasks", "mood", "--data", str(folder), "--methods", "head")
    done = python(package, "-m", "sparsebench", *arguments)
    assert done.returncode == 2
    assert "train.tsv:2: label 'angry' is none of" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ('fields=("text",)', 'fields=("sentence",)', "train examples have no column 'sentence'"),
        ('metrics=("accuracy",)', 'metrics=("acuracy",)', "did you mean 'accuracy'?"),
    ],
)
def test_a_name_that_does_not_exist_is_found_before_the_run(
    package: Path, right: str, wrong: str, message: str
) -> None:
    module = package / "src" / "sparsebench_my_task" / "__init__.py"
    code = module.read_text(encoding="utf-8")
    module.write_text(code.replace(right, wrong), encoding="utf-8")
    try:
        done = python(
            package, "-m", "sparsebench", "validate", "quick", "--tasks", "mood", "--data", "data"
        )
    finally:
        module.write_text(code, encoding="utf-8")
    assert done.returncode == 2
    assert message in done.stdout + done.stderr
