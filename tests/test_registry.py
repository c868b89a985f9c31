"""Plugins are found by name, imported when asked for, and disturb nobody when they are broken."""

from __future__ import annotations

import sys
import time
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

import pytest
from plugins import METHOD, install

from sparsebench.errors import UnknownNameError
from sparsebench.method_registry import METHODS
from sparsebench.registry import IMPORT_LIMIT, BrokenPluginError, Registry, unknown_groups

if TYPE_CHECKING:
    from pathlib import Path

GROUP = "sparsebench.tests"


def _text(loaded: object) -> str:
    if not isinstance(loaded, str):
        raise TypeError(f"not a text: {loaded!r}")
    return loaded


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path of modules."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.fixture
def registry() -> Registry[str]:
    return Registry(GROUP, kind="thing", check=_text)


def test_names_are_listed_in_order_and_nothing_is_imported(
    site: Path, registry: Registry[str]
) -> None:
    install(site, "p", group=GROUP, points={"b": "p_lazy:b", "a": "p_lazy:a"}, p_lazy="a = b = 'x'")
    assert list(registry) == ["a", "b"]
    assert "a" in registry
    assert "p_lazy" not in sys.modules
    assert registry.get("a") == "x"
    assert "p_lazy" in sys.modules


def test_an_entry_tells_its_package_and_target(site: Path, registry: Registry[str]) -> None:
    install(site, "some-package", group=GROUP, points={"a": "m:a"})
    entry = registry.entries["a"]
    assert (entry.package, entry.target) == ("some-package 1.0", "m:a")


def test_an_unknown_name_says_the_nearest_and_where(site: Path, registry: Registry[str]) -> None:
    install(site, "p", group=GROUP, points={"magnitude": "m:a", "movement": "m:b"})
    with pytest.raises(UnknownNameError) as error:
        registry.get("movment", where="s.yaml:3")
    assert str(error.value) == "s.yaml:3: unknown thing 'movment'; did you mean 'movement'?"


def test_a_name_unlike_any_other_lists_what_is_known(site: Path, registry: Registry[str]) -> None:
    install(site, "p", group=GROUP, points={"b": "m:b", "a": "m:a"})
    with pytest.raises(UnknownNameError, match="unknown thing 'xyz'; known: a, b"):
        registry.get("xyz")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import no_such_module_anywhere", "ModuleNotFoundError: No module named"),
        ("def :", "SyntaxError: "),
        ("b = 1", "AttributeError: "),
        ("a = 1", "TypeError: not a text: 1"),
    ],
)
def test_a_broken_plugin_says_why_and_disturbs_no_other(
    site: Path, registry: Registry[str], source: str, reason: str
) -> None:
    module = f"p_broken_{abs(hash(source))}"
    install(site, "bad", group=GROUP, points={"bad": f"{module}:a"}, **{module: source})
    install(site, "good", group=GROUP, points={"good": "p_good:a"}, p_good="a = 'x'")
    assert list(registry) == ["bad", "good"]
    assert registry.get("good") == "x"
    with pytest.raises(BrokenPluginError) as error:
        registry.get("bad")
    assert str(error.value).startswith(f"'bad' ({module}:a, of bad 1.0) failed: {reason}")
    assert registry.entries["bad"].error == str(error.value)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import os; os._exit(3)", "its import ends the process with exit code 3"),
        ("import os; os._exit(0)", "its import ends the process with exit code 0"),
        ("import os; os.kill(os.getpid(), 11)", "its import ends the process with signal 11"),
        ("import os; os.close(1); os._exit(1)", "its import ends the process with exit code 1"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise SystemExit", "SystemExit"),
        ("class E(Exception): __str__ = None\nraise E", "E"),
        ("raise BaseException('x' * 10**6)", "BaseException: xxx"),
        ("raise ValueError('one\\ntwo')", "ValueError: one two"),
        ("raise ValueError('\\x1b[31mred\\x07')", r"ValueError: \x1b[31mred\x07"),
    ],
)
def test_an_import_that_ends_the_process_is_an_error_with_a_reason(
    site: Path, registry: Registry[str], source: str, reason: str
) -> None:
    module = f"p_ends_{abs(hash(source))}"
    install(site, "bad", group=GROUP, points={"bad": f"{module}:a"}, **{module: source})
    install(site, "good", group=GROUP, points={"good": "p_fine:a"}, p_fine="a = 'x'")
    error = registry.entries["bad"].error
    assert error is not None
    assert error.startswith(f"'bad' ({module}:a, of bad 1.0) failed: {reason}")
    assert len(error) < 400
    assert error.isprintable()
    assert registry.get("good") == "x"


def test_slow_imports_end_at_the_limit_and_are_waited_for_together(
    site: Path, registry: Registry[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(IMPORT_LIMIT, "4")
    sleeps = "import time; time.sleep(600)"
    names = [f"slow{place}" for place in range(6)]
    points = {name: f"p_{name}:a" for name in names}
    install(site, "slow", group=GROUP, points=points, **{f"p_{name}": sleeps for name in names})
    install(site, "good", group=GROUP, points={"good": "p_quick:a"}, p_quick="a = 'x'")
    start = time.monotonic()
    errors = {name: entry.error for name, entry in registry.entries.items()}
    assert time.monotonic() - start < 12
    assert errors.pop("good") is None
    assert {str(error).partition(" failed: ")[2] for error in errors.values()} == {
        f"its import takes more than 4 s ({IMPORT_LIMIT} sets this limit)"
    }


def test_one_name_waits_for_no_other(site: Path, registry: Registry[str]) -> None:
    sleeps = "import time; time.sleep(600)"
    install(site, "slow", group=GROUP, points={"slow": "p_sleeps:a"}, p_sleeps=sleeps)
    install(site, "good", group=GROUP, points={"good": "p_awake:a"}, p_awake="a = 'x'")
    assert registry.get("good") == "x"
    assert "p_sleeps:a" not in registry.entries["good"].probes._running


def test_an_import_that_leaves_a_process_behind_is_not_waited_for(
    site: Path, registry: Registry[str]
) -> None:
    source = "import subprocess; subprocess.Popen(['sleep', '600'])\na = 'x'"
    install(site, "forks", group=GROUP, points={"a": "p_forks:a"}, p_forks=source)
    start = time.monotonic()
    assert registry.get("a") == "x"
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("how", ["print('noise')", "import os; os.write(1, b'noise')"])
def test_what_an_import_prints_goes_to_standard_error(
    site: Path, registry: Registry[str], capfd: pytest.CaptureFixture[str], how: str
) -> None:
    module = f"p_prints_{abs(hash(how))}"
    install(site, "p", group=GROUP, points={"a": f"{module}:a"}, **{module: f"{how}\na = 'x'"})
    assert registry.get("a") == "x"
    out, err = capfd.readouterr()
    assert out == ""
    assert err.strip() == "noise"


@pytest.mark.parametrize(
    ("name", "shown"),
    [("", "''"), ("two words", "'two words'"), ("a\x1b[31m", r"'a\x1b[31m'"), ("-x", "'-x'")],
)
def test_an_invalid_name_is_an_entry_with_a_reason(name: str, shown: str) -> None:
    points = [EntryPoint(name, "json:loads", GROUP), EntryPoint("good", "string:digits", GROUP)]
    registry = Registry(GROUP, kind="thing", check=_text, points=lambda: points)
    assert list(registry) == sorted([shown, "good"])
    with pytest.raises(BrokenPluginError, match="is invalid: a name has letters, digits") as error:
        registry.get(shown)
    assert str(error.value).isprintable()
    assert registry.get("good") == "0123456789"


def test_escapes_of_a_package_never_reach_a_message(site: Path, registry: Registry[str]) -> None:
    install(site, "p\x1b[2J", group=GROUP, points={"a": "p_\x1b[31m:a"})
    entry = registry.entries["a"]
    assert entry.package.isprintable()
    assert entry.target.isprintable()
    assert str(entry.error).isprintable()


def test_a_name_taken_twice_names_both_packages(site: Path, registry: Registry[str]) -> None:
    install(site, "one", group=GROUP, points={"a": "p_one:a", "b": "p_one:b"}, p_one="a = b = 'x'")
    install(site, "two", group=GROUP, points={"a": "p_two:a"}, p_two="a = 'y'")
    with pytest.raises(BrokenPluginError, match=r"registered by one 1\.0 and two 1\.0"):
        registry.get("a")
    assert registry.get("b") == "x"


def test_a_plugin_may_not_take_the_name_of_a_built_in_method(site: Path) -> None:
    group = METHODS.group
    install(site, "rival", group=group, points={"full": "p_rival:Turn"}, p_rival=METHOD)
    fresh = Registry(group, kind="method", check=lambda loaded: loaded)
    assert "rival 1.0" in str(fresh.entries["full"].error)
    assert "sparsebench" in str(fresh.entries["full"].error)
    assert fresh.entries["head"].error is None


@pytest.mark.parametrize("group", ["sparsebench.task", "sparsebench_tasks"])
def test_a_group_with_a_typo_is_told_the_nearest(site: Path, group: str) -> None:
    install(site, "typing", group=group, points={"mood": "m:MOOD"})
    (message,) = unknown_groups()
    assert message == (
        f"'mood' of typing 1.0 is registered under {group!r}, which is no group of plugins; "
        "did you mean 'sparsebench.tasks'?"
    )


def test_the_groups_of_the_built_in_plugins_are_known() -> None:
    assert unknown_groups() == []
