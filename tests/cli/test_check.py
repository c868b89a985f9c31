"""``check`` shows what came of every check, and ends with what that means."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

import broken_methods as broken
import pytest

from sparsebench.cli.check import _settings
from sparsebench.conformance import CHECKS
from sparsebench.method_registry import METHODS
from sparsebench.registry import Entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Said

    from sparsebench.method import Method


def install(
    monkeypatch: pytest.MonkeyPatch, name: str, target: str, method: type[Method] | None = None
) -> None:
    """Registers a method for the time of a test."""
    point = EntryPoint(name, target, METHODS.group)
    entry = Entry(
        name=name,
        target=target,
        package="a-plugin 1.0",
        check=METHODS._check,
        point=point,
    )
    if method is not None:
        vars(entry)["_outcome"] = (method, None)
    monkeypatch.setitem(METHODS.entries, name, entry)


def test_every_check_has_a_row(cli: Callable[..., Said]) -> None:
    said = cli("check", "head", "--families", "bert", "--set", "learning_rate=1e-2")
    assert said.code == 0, said
    rows = [line.split(maxsplit=1) for line in said.out.splitlines()]
    assert [row[0] for row in rows[1:-2]] == [check.name for check in CHECKS]
    assert {row[1].partition("  ")[0] for row in rows[1:-2]} == {"pass", "not applicable"}
    assert said.out.endswith("head: 17 passed, 5 not applicable\n")


def test_some_checks_alone(cli: Callable[..., Said]) -> None:
    said = cli(
        "check", "head", "--families", "bert", "--only", "saves_and_loads,penalty_is_diferentiable"
    )
    assert said.code == 2
    assert (
        "unknown check 'penalty_is_diferentiable'; did you mean 'penalty_is_differentiable'"
        in said.err
    )
    said = cli(
        *("check", "head", "--families", "bert", "--only", "saves_and_loads"),
        *("--set", "head.learning_rate=1e-2"),
    )
    assert said.code == 0, said
    assert said.out.endswith("head: 1 passed\n")


def test_progress_is_reported_without_a_terminal(
    cli: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparsebench.api.console.FIRST", 0.01)
    said = cli("check", "head", "--families", "bert", "--only", "saves_and_loads")
    assert said.code == 0
    assert "head: starting" in said.err
    assert "starting" not in said.out


def test_the_checks_are_listed(cli: Callable[..., Said]) -> None:
    said = cli("check", "--list")
    assert said.code == 0
    for check, line in zip(CHECKS, said.out.splitlines()[1:], strict=True):
        assert line.startswith(check.name)
        assert line.endswith(check.description)


def test_a_failure_ends_with_1(cli: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "broken", "nowhere:Broken", broken.TakesAnyValue)
    said = cli("check", "broken", "--families", "bert")
    assert said.code == 1
    (row,) = (line for line in said.out.splitlines() if line.startswith("bad_settings"))
    assert row.split(maxsplit=2) == ["bad_settings_are_refused", "fail", "accepts any value: mode"]
    assert "1 failed" in said.out.splitlines()[-1]


def test_a_plugin_that_cannot_be_imported_is_a_clear_message(
    cli: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, "absent", "no_such_module:Method")
    said = cli("check", "absent")
    assert said.code == 2
    assert "'absent' (no_such_module:Method, of a-plugin 1.0) failed: Module" in said.err
    assert "Traceback" not in said.err


def test_all_shows_what_fails_and_goes_on(
    cli: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(METHODS, "entries", {})
    install(monkeypatch, "absent", "no_such_module:Method")
    install(monkeypatch, "broken", "nowhere:Broken", broken.TakesAnyValue)
    said = cli("check", "--all", "--families", "bert")
    assert said.code == 2
    lines = said.out.splitlines()
    assert lines[0].startswith("absent: cannot be used: 'absent' (no_such_module")
    assert lines[1].startswith("broken: ")
    assert lines[2:] == ["    bad_settings_are_refused: fail: accepts any value: mode"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lorra"], "unknown method 'lorra'; did you mean 'lora'?"),
        (["lora", "--set", "rr=3"], "method 'lora': rr: unknown key; did you mean 'r'?"),
        (["lora", "--set", "r"], "write it as KEY=VALUE"),
        (["lora", "--set", "r=1", "--set", "r.x=2"], "'r' is set to a value that has no keys"),
        (["lora", "--families", "brt"], "unknown family 'brt'; did you mean 'bert'?"),
        (["lora", "--families", ","], "name at least one"),
        ([], "name one method, or use --all"),
        (["lora", "--all"], "name one method, or use --all"),
        (["--all", "--set", "r=3"], "--set changes the settings of one method"),
    ],
)
def test_mistakes_end_with_2(cli: Callable[..., Said], arguments: list[str], message: str) -> None:
    said = cli("check", *arguments)
    assert said.code == 2
    assert message in said.err


def test_settings_may_be_nested() -> None:
    assert _settings(["tuner=ia3", "settings.r=4", "settings.x.y=[1, a]"], name="peft") == {
        "tuner": "ia3",
        "settings": {"r": 4, "x": {"y": [1, "a"]}},
    }
