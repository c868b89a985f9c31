"""The command line starts fast: what is heavy is imported by the command that needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

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


@pytest.mark.parametrize(
    "arguments", [("--help",), ("run", "--help"), ("list", "suites"), ("list", "models")]
)
def test_nothing_heavy_is_imported(arguments: tuple[str, ...]) -> None:
    code = PROBE.format(arguments=arguments, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "imported: []"


def test_help_names_every_command() -> None:
    command = [sys.executable, "-m", "sparsebench", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for name in ("run", "plan", "validate", "list", "show", "leaderboard"):
        assert f" {name} " in done.stdout
