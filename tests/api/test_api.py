"""The Python API: a suite becomes results, a DataFrame and a leaderboard."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from factories import make_result

import sparsebench
from sparsebench.api import overrides
from sparsebench.errors import UnknownNameError, UserError
from sparsebench.results import Store

if TYPE_CHECKING:
    from sparsebench import Results

ROOT = Path(sparsebench.__file__).parents[1]
SHORT = 'models=["quick/bert"], tasks=["toy-cola"], budget="6 steps", progress=False'


def first_script(page: str) -> str:
    """Returns the first Python block of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.search(r"```python\n(import sparsebench\n.*?)```", text, re.DOTALL)
    assert found, page
    return found[1]


@pytest.fixture
def results(tmp_path: Path) -> Results:
    store = Store(tmp_path / "results")
    for method, score in (("full", 0.9), ("lora", 0.8)):
        for seed in (1, 2):
            store.write(make_result(score, method=method, seed=seed))
    return sparsebench.load_results(store.root)


def test_the_script_of_the_readme_runs(tmp_path: Path) -> None:
    script = first_script("README.md")
    assert len(script.splitlines()) <= 10
    assert script in (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    call = re.search(r'run\("quick", (.*)\)', script)
    assert call
    short = script.replace(call[1], f'methods=["full", "head"], {SHORT}')
    done = subprocess.run(
        [sys.executable, "-c", short], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "| full" in done.stdout
    assert "toy-cola" in done.stdout
    assert len(list(Store(tmp_path / "runs"))) == 2


def test_a_script_without_a_guard_is_not_run_again_by_its_runs(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sparsebench\n"
        "print('once')\n"
        f"results = sparsebench.run('quick', methods='head', {SHORT})\n"
        "print([(run.status.value, run.score is not None) for run in results])\n"
    )
    command = [sys.executable, str(script)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "once\n[('ok', True)]\n"


def test_results_are_a_sequence_of_runs(results: Results) -> None:
    assert len(results) == 4
    assert {run.spec.method.label for run in results} == {"full", "lora"}
    assert results[0].score is not None
    assert repr(results) == "Results(4: 4 ok)"


def test_results_become_a_data_frame(results: Results) -> None:
    frame = results.to_pandas()
    assert len(frame) == 4
    assert frame.groupby("label")["score"].mean().round(3).to_dict() == {"full": 0.9, "lora": 0.8}
    assert results._repr_html_().startswith("<table")


def test_results_become_a_leaderboard(results: Results, tmp_path: Path) -> None:
    board = results.leaderboard()
    assert str(board).startswith("## minilm")
    assert board._repr_markdown_() == str(board)
    board.save(tmp_path / "board.csv")
    assert (tmp_path / "board.csv").read_text().startswith("model,protocol,")
    with pytest.raises(UnknownNameError, match="unknown format 'txt'"):
        board.save(tmp_path / "board.txt")
    with pytest.raises(UserError, match="cannot be written"):
        board.save(tmp_path / "absent" / "board.md")


def test_some_of_the_results(results: Results) -> None:
    assert len(results.only(methods="lora")) == 2
    assert len(results.only(methods=["full", "lora"], seeds=2)) == 2
    with pytest.raises(UnknownNameError, match="unknown method 'lorra'; did you mean 'lora'"):
        results.only(methods="lorra")


def test_two_methods_are_compared(results: Results) -> None:
    (found,) = results.compare("full", "lora")
    assert found.tasks[0].difference.value == pytest.approx(0.1)


def test_an_unreadable_result_is_a_warning(results: Results, tmp_path: Path) -> None:
    file = Store(tmp_path / "results").runs()[0].folder / "result.json"
    file.write_text("{")
    with pytest.warns(UserWarning, match="left out"):
        loaded = sparsebench.load_results(tmp_path / "results")
    assert (len(loaded), len(loaded.unreadable)) == (3, 1)


def test_costs_are_measured_without_training() -> None:
    profiles = sparsebench.profile(
        methods=["full", "magnitude"],
        models=["quick/bert"],
        settings={"magnitude.sparsity": 0.8, "profile.fresh_memory": False},
        devices=["cpu"],
        batch_sizes=[1],
        lengths=[8],
        rounds=3,
        seconds=0,
        limit=1,
        progress=False,
    )
    frame = profiles.to_pandas()
    assert set(frame["method"]) == {"full", "magnitude"}
    assert len(profiles) == 2
    assert str(profiles).startswith("## quick/bert")
    with pytest.raises(UserError, match="name a suite, or a deployed folder"):
        sparsebench.profile()


@pytest.mark.parametrize("value", [16, 1e-5, 0.5, True, None, "cosine", ["a", "b"], {"a": 1}])
def test_settings_are_read_as_they_were_given(value: object) -> None:
    from sparsebench.suite import yamlfile

    (text,) = overrides(settings={"lora.r": value}).sets
    key, _, written = text.partition("=")
    assert key == "lora.r"
    assert yamlfile.parse(written, name="x").data == value


def test_importing_it_is_light() -> None:
    probe = (
        "import sys, sparsebench\n"
        "sparsebench.run, sparsebench.load_results, sparsebench.profile, sparsebench.Results\n"
        "heavy = {'torch', 'transformers', 'datasets', 'numpy', 'pandas', 'scipy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
