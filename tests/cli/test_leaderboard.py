"""``sparsebench leaderboard`` shows what can be read, and names what cannot."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import typer
from factories import make_result

from sparsebench.cli.leaderboard import leaderboard
from sparsebench.errors import UserError
from sparsebench.results.store import Store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = Store(tmp_path / "results")
    for method, score in (("full", 0.9), ("lora", 0.8)):
        for task in ("mrpc", "rte"):
            store.write(make_result(score, method=method, task=task))
    return store.root


def call(*arguments: object) -> None:
    """Runs the command; what it raises is what ``main`` turns into a message."""
    app = typer.Typer()
    app.command()(leaderboard)
    app(list(map(str, arguments)), standalone_mode=False)


def test_off_a_terminal_it_prints_markdown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(folder)

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "## minilm · protocol last · seed 1"
    assert [line.split()[1] for line in lines if line.startswith("| ")] == [
        "method",
        "full",
        "lora",
    ]


def test_on_a_terminal_it_prints_a_table(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    call(folder)

    out = capsys.readouterr().out
    assert "────" in out
    assert "90.0" in out


def test_it_writes_the_format_that_the_file_is_named_for(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(folder, "--output", tmp_path / "board.JSON")
    call(folder, "--format", "csv", "--output", tmp_path / "board.md")

    assert [group["name"] for group in json.loads((tmp_path / "board.JSON").read_text())["groups"]]
    assert (tmp_path / "board.md").read_text().startswith("model,protocol,")
    assert capsys.readouterr().out == ""


def test_only_the_named_tasks_and_methods_are_shown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(folder, "--tasks", "rte", "--methods", "lora, full", "--format", "json")

    (group,) = json.loads(capsys.readouterr().out)["groups"]
    assert [task["name"] for task in group["tasks"]] == ["rte"]
    assert [row["name"] for row in group["rows"]] == ["full", "lora"]


def test_corrupt_results_are_named_and_the_others_shown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torn, future, *_ = (run.folder / "result.json" for run in Store(folder).runs())
    torn.write_text(torn.read_text()[:100])
    future.write_text(json.dumps({**json.loads(future.read_text()), "schema_version": 2}))

    call(folder)

    shown = capsys.readouterr()
    assert f"left out: {torn}: not a readable result" in shown.err
    assert f"left out: {future}: schema version 2" in shown.err
    assert "| lora" in shown.out
    assert "> 2 results could not be read" in shown.out
    assert f"> {torn.parent.name}/result.json: not a readable result" in shown.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tasks", "mprc"], "--tasks: unknown task 'mprc'; did you mean 'mrpc'"),
        (["--methods", "adapter"], "--methods: unknown method 'adapter'; known: full, lora"),
        (["--output", "board.txt"], "end it in .md, .csv, .json, .tex, .html"),
        (["--output", "absent/board.md"], "board.md: cannot be written"),
        (["--format", "jsn"], "unknown format 'jsn'; did you mean 'json'?"),
        (["--update", "absent.md"], "absent.md: cannot be read (No such file or directory)"),
        (["--output", "board.md", "--format", "table"], "is for a terminal"),
    ],
)
def test_mistakes_in_the_options_are_told(
    folder: Path, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(UserError) as raised:
        call(folder, *arguments)
    assert said in str(raised.value)


def test_a_folder_that_is_absent_or_empty_is_a_mistake(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="absent: no such folder"):
        call(tmp_path / "absent")
    with pytest.raises(UserError, match=f"there are no results in it; there are some in {folder}"):
        call(tmp_path)


def test_what_is_no_folder_of_results_is_called_what_it_is(folder: Path) -> None:
    one = Store(folder).runs()[0].folder / "result.json"
    with pytest.raises(UserError, match=f"one result; name the folder above it, {folder}"):
        call(one.parent)
    with pytest.raises(UserError, match="a file, not a folder of results"):
        call(one)


def test_a_folder_in_which_nothing_can_be_read_is_a_mistake(folder: Path) -> None:
    for run in Store(folder).runs():
        (run.folder / "result.json").write_text("{")

    with pytest.raises(UserError, match="none of its 4 results can be read"):
        call(folder)


def test_reading_leaves_the_folder_as_it_is(folder: Path) -> None:
    before = sorted(folder.rglob("*"))

    call(folder)

    assert sorted(folder.rglob("*")) == before


def test_it_needs_no_heavy_library(folder: Path) -> None:
    heavy = ("torch", "transformers", "datasets", "pandas", "sklearn", "scipy.stats")
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from sparsebench.cli.leaderboard import leaderboard\n"
        "leaderboard(Path(sys.argv[1]))\n"
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True
    )

    assert done.stderr.splitlines()[-1] == "[]"
    assert "| full" in done.stdout


def test_update_replaces_the_block_of_a_file(folder: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    marks = "<!-- sparsebench:leaderboard -->", "<!-- /sparsebench:leaderboard -->"
    readme.write_text(f"# Mine\n{marks[0]}\nold\n{marks[1]}\nrest\n")

    call(folder, "--update", readme)
    once = readme.read_text()
    call(folder, "--update", readme)

    assert readme.read_text() == once
    assert "| lora" in once
    assert "\nold\n" not in once
    assert once.startswith("# Mine\n")
    assert once.endswith("rest\n")


def test_plots_are_drawn_against_the_cost_that_is_named(folder: Path, tmp_path: Path) -> None:
    call(folder, "--output", tmp_path / "plot.svg", "--cost", "latency")

    assert "nothing was measured" in (tmp_path / "plot.svg").read_text()
    with pytest.raises(UserError, match="unknown cost 'latencies'; did you mean 'latency'"):
        call(folder, "--output", tmp_path / "plot.svg", "--cost", "latencies")
    with pytest.raises(UserError, match="for svg and png"):
        call(folder, "--cost", "latency", "--format", "md")
    with pytest.raises(UserError, match="requires --output FILE"):
        call(folder, "--format", "png")
