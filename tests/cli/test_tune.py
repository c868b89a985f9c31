"""``sparsebench tune`` as a user meets it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sparsebench.results import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Said

SUITE = """
name: small
tasks: [toy-cola]
models: [quick/bert]
methods: [head]
training: { budget: 3 steps, max_length: 48 }
costs: { length: 16, seconds: 0 }
tuning:
  trials: 2
  tasks: [toy-cola]
  budget: 2 steps
  search:
    head: { learning_rate: [0.01, 0.02] }
"""


def test_it_tunes_and_the_tuned_suite_runs(cli: Callable[..., Said]) -> None:
    Path("small.yaml").write_text(SUITE)

    said = cli("tune", "small.yaml", "--output", "out")

    assert said.code == 0
    assert said.out.count("learning_rate=") == 2
    assert said.out.count("chosen") == 1
    assert len(Store(Path("out/tuning")).runs()) == 2
    assert cli("tune", "small.yaml", "--output", "out").out.startswith("Nothing to run")
    assert cli("run", "out/tuned.yaml", "--output", "out").code == 0
    (result,) = Store(Path("out"))
    assert result.tuned is not None
    assert len(result.tuned.trials) == 2
    assert "| search trials |" in " ".join(cli("leaderboard", "out").out.split())


def test_a_search_for_a_setting_that_is_unknown_is_told(cli: Callable[..., Said]) -> None:
    Path("small.yaml").write_text(SUITE.replace("learning_rate:", "learning_rat:"))

    said = cli("tune", "small.yaml")

    assert said.code == 2
    assert "did you mean 'learning_rate'" in said.err
