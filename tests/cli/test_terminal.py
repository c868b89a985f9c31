"""Any encoding, any width, no terminal, Ctrl-C, hostile names: text comes out, and no traceback."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from factories import make_result
from plugins import install

from sparsebench.api import console as consoles
from sparsebench.api.console import SafeConsole, activity
from sparsebench.results.store import Store

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = [
    ("--help",),
    ("run", "--help"),
    ("list", "suites"),
    ("list", "models"),
    ("show", "training"),
    ("validate", "quick"),
    ("plan", "quick", "--methods", "head"),
    ("leaderboard", "results"),
    ("leaderboard", "results", "--format", "csv"),
    ("compare", "full", "lora", "results"),
    ("verify", "results"),
    ("leaderboard", "résultats"),
]
INTERRUPT = """
import sys

class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupted())
"""
CHATTY = """
import os
print("hello")
os.write(1, b"there")
from sparsebench.tasks.glue import RTE as TASK
"""
HOSTILE = "\x1b[31mred\x1b[0m \x9b2J \x07 :smile: \u202eevil [bold]"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = Store(tmp_path / "results")
    for method, score in (("full", 0.9), ("lora", 0.8)):
        store.write(make_result(score, method=method))
    return tmp_path


def started(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
    inherited = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "SPARSEBENCH_DATA")}
    return subprocess.run(
        [sys.executable, "-m", "sparsebench", *arguments],
        cwd=cwd,
        env={**inherited, **variables},
        capture_output=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_prints_in_ascii(folder: Path, command: tuple[str, ...]) -> None:
    done = started(*command, cwd=folder, PYTHONIOENCODING="ascii", COLUMNS="0")
    assert b"Traceback" not in done.stderr
    assert done.returncode == (2 if "résultats" in command else 0), done.stderr
    assert (done.stdout or done.stderr).isascii()
    assert done.stdout.strip() or done.stderr.strip()


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "ascii", "utf-8"])
def test_a_leaderboard_in_other_encodings(folder: Path, encoding: str) -> None:
    command = ("leaderboard", "results", "--format", "table")
    done = started(*command, cwd=folder, PYTHONIOENCODING=encoding)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    assert "full" in done.stdout.decode(encoding)
    raw = started("leaderboard", "results", "-f", "json", cwd=folder, PYTHONIOENCODING=encoding)
    assert json.loads(raw.stdout.decode(encoding))["groups"]


def test_a_run_in_latin_1(tmp_path: Path) -> None:
    choice = ("--tasks", "toy-mrpc", "--models", "quick/bert", "--methods", "head")
    terms = ("--budget", "3 steps", "--set", "costs.seconds=0.01")
    done = started("run", "quick", *choice, *terms, cwd=tmp_path, PYTHONIOENCODING="latin-1")
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert "toy-mrpc · quick/bert · head" in done.stdout.decode("latin-1")


@pytest.mark.parametrize("columns", ["0", "1", "-5", "many", "9" * 30])
def test_a_width_that_is_none_is_replaced(folder: Path, columns: str) -> None:
    done = started("list", "suites", cwd=folder, COLUMNS=columns, TERMINAL_WIDTH=columns)
    assert done.returncode == 0, done.stderr
    assert b"quick" in done.stdout
    assert max(map(len, done.stdout.splitlines())) < 2000


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(folder: Path, closed: str) -> None:
    command = f"{sys.executable} -m sparsebench leaderboard results -o board.md {closed}"
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, check=False)  # noqa: S602
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert "| full" in (folder / "board.md").read_text(encoding="utf-8")


def test_a_reader_that_goes_away_is_no_fault(folder: Path) -> None:
    command = f"{sys.executable} -m sparsebench show suite:glue | head -c 5"
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, check=False)  # noqa: S602
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device")  # noqa: PTH110
def test_a_full_disk_is_one_message(folder: Path) -> None:
    command = f"{sys.executable} -m sparsebench show training > /dev/full"
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, check=False)  # noqa: S602
    assert done.returncode == 2
    assert b"error: the output cannot be written" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "module", ["typer", "sparsebench.cli.run", "sparsebench.suite", "sparsebench.method_registry"]
)
def test_ctrl_c_while_it_starts(folder: Path, module: str) -> None:
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(INTERRUPT.format(module=module))
    done = started("plan", "quick", cwd=folder, PYTHONPATH=str(folder / "site"))
    assert done.returncode == 130
    assert b"Traceback" not in done.stderr


def test_names_do_not_steer_the_terminal(tmp_path: Path) -> None:
    store = Store(tmp_path / "results\x1b[2J")
    store.write(make_result(0.9, method=HOSTILE))
    (store.root / "torn").mkdir()
    (store.root / "torn" / "result.json").write_text("{")
    for arguments in (
        ("leaderboard", store.root.name),
        ("leaderboard", store.root.name, "--format", "table"),
        ("leaderboard", store.root.name, "--format", "json"),
        ("verify", store.root.name),
        ("compare", "x", HOSTILE, store.root.name),
        ("leaderboard", "absent\x1b[2J :smile:"),
    ):
        done = started(*arguments, cwd=tmp_path)
        shown = (done.stdout + done.stderr).decode()
        assert not set("\x1b\x9b\x07\u202e\U0001f604") & set(shown), arguments


def test_a_plugin_that_prints_leaves_json_alone(tmp_path: Path) -> None:
    install(
        tmp_path / "site",
        "chatty",
        group="sparsebench.tasks",
        points={"chatty": "chatty:TASK"},
        chatty=CHATTY,
    )
    done = started(
        "list", "tasks", "--format", "json", cwd=tmp_path, PYTHONPATH=str(tmp_path / "site")
    )
    assert "chatty" in {row["name"] for row in json.loads(done.stdout)}


def test_an_activity_is_reported_off_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consoles, "FIRST", 0.01)
    monkeypatch.setattr(consoles, "INTERVAL", 0.01)
    console, shown = SafeConsole(), threading.Event()
    console.file = io.StringIO()
    with activity("Verifying 0 of 9", console) as show:
        show("Verifying 3 of 9")
        shown.wait(0.2)
    assert "Verifying 3 of 9 ...\n" in console.file.getvalue()


def test_a_short_activity_says_nothing() -> None:
    console = SafeConsole()
    console.file = io.StringIO()
    with activity("Reading", console):
        pass
    assert console.file.getvalue() == ""
