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
from sparsebench.cli import terminal
from sparsebench.results.store import Store

if TYPE_CHECKING:
    from pathlib import Path

JSON = ("leaderboard", "results", "--format", "json")
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
    ("leaderboard", "results", "--format", "table"),
    JSON,
    ("leaderboard", "résultats"),
]
MARK = "==== "
ONE_AFTER_ANOTHER = f"""
import contextlib, io, json, sys
from sparsebench.cli import main

for command in json.loads(sys.argv.pop()):
    sys.argv = ["sparsebench", *command]
    sys.stdout.flush()
    print({MARK!r}, end="")
    real, sys.stdout = sys.stdout, io.TextIOWrapper(io.BytesIO(), encoding=sys.stdout.encoding)
    try:
        main()
    except SystemExit as error:
        code = error.code or 0
    sys.stdout.flush()
    printed, sys.stdout = sys.stdout.buffer.getvalue(), real
    print(code)
    if code == 2:
        print("see the error stream")
    sys.stdout.flush()
    sys.stdout.buffer.write(printed)
"""
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


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_every_command_prints_in_every_encoding(folder: Path, encoding: str) -> None:
    variables = {"PYTHONIOENCODING": encoding, "COLUMNS": "0"}
    done = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_ANOTHER, json.dumps(COMMANDS)],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    printed = done.stdout.decode(encoding).split(MARK)[1:]
    assert len(printed) == len(COMMANDS)
    for command, output in zip(COMMANDS, printed, strict=True):
        code, _, text = output.partition("\n")
        assert int(code) == (2 if "résultats" in command else 0), (command, output)
        assert text.strip(), command
    assert json.loads(printed[COMMANDS.index(JSON)].partition("\n")[2])["groups"]


def test_a_run_in_latin_1(tmp_path: Path) -> None:
    choice = ("--tasks", "toy-mrpc", "--models", "quick/bert", "--methods", "head")
    terms = ("--budget", "3 steps", "--set", "costs.seconds=0.01")
    done = started("run", "quick", *choice, *terms, cwd=tmp_path, PYTHONIOENCODING="latin-1")
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert "toy-mrpc · quick/bert · head" in done.stdout.decode("latin-1")


@pytest.mark.parametrize("columns", ["0", "1", "-5", "many", "9" * 30, ""])
def test_a_width_that_cannot_be_is_replaced(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("COLUMNS", "TERMINAL_WIDTH"):
        monkeypatch.setenv(variable, columns)
    terminal.prepare()
    assert "TERMINAL_WIDTH" not in os.environ
    assert 20 <= SafeConsole().width <= 1000


def test_a_width_that_can_be_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "132")
    terminal.prepare()
    assert SafeConsole().width == 132


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
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


@pytest.mark.parametrize("module", ["typer", "sparsebench.suite"])
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
