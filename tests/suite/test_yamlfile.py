"""YAML is read as its author means it, and cannot do harm."""

from __future__ import annotations

import json
import math
import os
import string
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsebench.errors import UserError
from sparsebench.suite.yamlfile import LARGEST, MOST_NODES, parse, read

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = st.text(alphabet=string.ascii_letters + string.digits + string.punctuation + " äß∞")
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=15,
)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-4", 1e-4),
        ("2E5", 2e5),
        ("-.5", -0.5),
        (".inf", math.inf),
        ("16", 16),
        ("+7", 7),
        ("-3", -3),
        ("true", True),
        ("", None),
        ("~", None),
        ("no", "no"),
        ("on", "on"),
        ("010", 10),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("'1e-4'", "1e-4"),
        ("3 epochs", "3 epochs"),
    ],
)
def test_a_scalar_is_read_by_the_rules_of_yaml_1_2(written: str, value: object) -> None:
    data = parse(f"key: {written}", name="x").data
    assert data == {"key": value}
    assert type(data["key"]) is type(value)


@given(PLAIN)
def test_json_is_yaml(data: object) -> None:
    assert parse(json.dumps(data, ensure_ascii=False), name="x").data == data


@given(st.text(alphabet="&*<{[]}:-!|>'\"#? ,%@`a1.\n\t~", max_size=40) | st.text(max_size=40))
def test_any_text_is_read_or_is_a_users_mistake(text: str) -> None:
    with suppress(UserError):
        parse(text, name="x")


def test_every_key_and_item_has_its_line() -> None:
    text = "a:\n  b: 1\n  c:\n    - x\n    - {d: 2}\n"
    lines = parse(text, name="x").lines
    assert lines["a",] == 1
    assert lines["a", "b"] == 2
    assert lines["a", "c", "0"] == lines["a", "c", "x"] == 4
    assert lines["a", "c", "1", "d"] == 5


def test_a_merged_key_has_the_line_where_it_was_last_written() -> None:
    text = "a: &a\n  r: 1\n  s: 2\nb:\n  <<: *a\n  r: 3\n"
    document = parse(text, name="x")
    assert document.data["b"] == {"r": 3, "s": 2}
    assert (document.lines["b", "r"], document.lines["b", "s"]) == (6, 3)
    assert document.repeats == ()


def test_repeated_keys_are_found_wherever_they_are() -> None:
    text = "a: 1\nb:\n  - c: 1\n    d: 2\n    c: 3\na: 2\n"
    assert sorted(parse(text, name="x").repeats) == [(5, "c"), (6, "a")]


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb: !!python/object/apply:os.system ['true']",
        "a: 1\nb: !!python/name:os.system ''",
        "a: 1\nb: !own {c: 1}",
        "a: 1\nb: !!timestamp soon",
        "a: 1\nb: !!bool maybe",
        "a: 1\nb: !!set {c, d}",
    ],
)
def test_a_tag_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(UserError, match=r"^x:2: the tag .* is not allowed"):
        parse(text, name="x")


def _bomb(line: str, *, depth: int = 60) -> str:
    lines = ["a0: &a0 {k: 1}", *(line.format(i + 1, i) for i in range(depth))]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        _bomb("a{0}: &a{0} [*a{1}, *a{1}]"),
        _bomb("a{0}: &a{0} {{<<: [*a{1}, *a{1}]}}"),
        "a: &a [*a]",
        "a: &a {b: *a}",
        "a: &a {<<: *a}",
    ],
)
def test_what_aliases_stand_for_is_bounded(text: str) -> None:
    with pytest.raises(UserError, match=f"expand to more than {MOST_NODES:,}"):
        parse(text, name="x")


@pytest.mark.parametrize(
    "text",
    ["[" * 5000, "{a: " * 5000, "- " * 5000, "[" * 150 + "]" * 150, "{a: " * 150 + "}" * 150],
)
def test_deep_nesting_is_a_users_mistake(text: str) -> None:
    with pytest.raises(UserError, match=r"^x: nested more than 100 levels deep"):
        parse(text, name="x")


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: b: c", 1), ("a: 1\n b: 2", 2), ("a: [1\nb: 2", 2), ("a: 1\n---\nb: 2", 2)],
)
def test_what_is_no_yaml_has_a_line(text: str, line: int) -> None:
    with pytest.raises(UserError, match=f"^x:{line}: "):
        parse(text, name="x")


@pytest.mark.parametrize("content", [b"a: \xff", b"a: \x00", b"#" * (LARGEST + 1)])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "suite.yaml"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"suite\.yaml"):
        read(file)


def test_an_empty_file_has_no_content(tmp_path: Path) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text("# nothing\n", encoding="utf-8")
    assert read(file).data is None


@pytest.mark.parametrize("text", ["a: " + "9" * 5000, "a:\n  - -" + "1" * 200, "? " + "1" * 4000])
def test_a_number_with_many_digits_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(UserError, match=r"^x:\d: a number with .* digits"):
        parse(text, name="x")


def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "suite.yaml")
    with pytest.raises(UserError, match="not a regular file"):
        read(tmp_path / "suite.yaml")
