"""The command line starts fast: what is heavy is imported by the command that needs it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from typer.main import get_group
from typer.testing import CliRunner

from sparsebench.cli import app

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = ("torch", "transformers", "datasets", "peft", "evaluate", "scipy", "sklearn", "numpy")
PROBE = """
import sys
from sparsebench.cli import main
sys.argv = ["sparsebench", *{arguments!r}]
try:
    main()
except SystemExit as error:
    assert not error.code, error.code
print("imported:", sorted(set(sys.modules) & set({heavy!r})))
"""


def imported(*arguments: str, heavy: tuple[str, ...] = HEAVY) -> str:
    code = PROBE.format(arguments=arguments, heavy=heavy)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("run", "--help"), ("list", "suites"), ("list", "models")],
)
def test_nothing_heavy_is_imported(arguments: tuple[str, ...]) -> None:
    assert imported(*arguments) == "imported: []"


def test_no_part_that_runs_or_reads_results_is_imported() -> None:
    parts = ("execution.job", "method_registry", "models.sources", "results.records")
    heavy = tuple(f"sparsebench.{part}" for part in parts)
    assert imported("--help", heavy=heavy) == "imported: []"


@pytest.mark.parametrize("command", ["validate", "plan"])
def test_a_suite_is_looked_at_without_the_libraries_that_run_it(
    command: str, tmp_path: Path
) -> None:
    """Unless a method imports them itself."""
    heaviest = ("torch", "transformers", "peft", "evaluate")
    suite = tmp_path / "light.yaml"
    content = "name: light\ntasks: [toy-cola]\nmodels: [quick/bert]\nmethods: [full, head]\n"
    suite.write_text(f"{content}costs: {{ length: 32 }}\n", encoding="utf-8")
    assert imported(command, str(suite), heavy=heaviest) == "imported: []"


def test_help_names_every_command() -> None:
    command = [sys.executable, "-m", "sparsebench", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for name in ("run", "plan", "validate", "list", "show", "leaderboard"):
        assert f" {name} " in done.stdout


@pytest.mark.parametrize("name", [command.name for command in get_group(app).commands.values()])
def test_each_example_has_its_own_line(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"])
    lines = [line for line in done.stdout.splitlines() if line.lstrip().startswith("sparsebench ")]
    assert lines
    assert all(line.count("sparsebench ") == 1 for line in lines)


def test_the_version_is_that_of_the_package() -> None:
    command = [sys.executable, "-m", "sparsebench", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"sparsebench {version('sparsebench')}\n"


@pytest.mark.parametrize(
    ("command", "argument"),
    [
        ("list", "WHAT"),
        ("show", "NAME"),
        ("new-method", "NAME"),
        ("check", "[NAME]"),
        ("score", "TASK"),
        ("export", "FORMAT"),
    ],
)
def test_arguments_are_written_in_capitals(command: str, argument: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sparsebench", command, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    usage = next(line for line in done.stdout.splitlines() if "Usage:" in line)
    assert argument in usage
    assert usage.split("[OPTIONS]")[1].isupper()


def test_the_help_of_every_command_has_examples() -> None:
    from sparsebench.cli import app

    for command in app.registered_commands:
        docstring = command.callback.__doc__ or ""
        assert "For example:\n\n        sparsebench" in docstring, command.callback


def test_a_run_is_started_without_the_libraries_that_run_it(tmp_path: Path) -> None:
    heaviest = ("torch", "transformers", "peft", "evaluate")
    suite = ("quick", "--tasks", "toy-cola", "--models", "quick/bert", "--methods", "head")
    small = ("--budget", "2 steps", "--set", "costs.seconds=0.01", "--output", str(tmp_path))
    assert imported("run", *suite, *small, heavy=heaviest) == "imported: []"
    assert (tmp_path / "leaderboard.md").is_file()
