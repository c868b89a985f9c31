"""Plugins are found by name, imported when asked for, and disturb nobody when they are broken."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from plugins import METHOD, install

from sparsebench.errors import UnknownNameError
from sparsebench.method_registry import METHODS
from sparsebench.registry import BrokenPluginError, Registry

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
