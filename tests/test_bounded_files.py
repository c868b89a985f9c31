"""Whatever a file contains, it is read within bounds or refused with a message that names it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsebench.bounded_files import (
    MAX_DEPTH,
    MAX_DIGITS,
    MIB,
    parse_json,
    read_bytes,
    read_json,
    read_text,
)
from sparsebench.errors import UserError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_json_is_read_as_written(value: object) -> None:
    assert parse_json(json.dumps(value), name="x") == value


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "[" * 200_000 + "]" * 200_000,
        '{"a":' * 200_000 + "1" + "}" * 200_000,
        "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
        '[{"a":' * 60 + "1" + "}]" * 60,
    ],
)
def test_deep_json_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError, match=rf"^x: nested more than {MAX_DEPTH} levels deep$"):
        parse_json(text, name="x")


def test_the_deepest_json_that_is_allowed_is_read() -> None:
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert json.dumps(parse_json(text, name="x")) == text


@pytest.mark.parametrize("text", ["9" * 5000, "[-" + "1" * 200 + "]", '{"a": 1' + "0" * 4299 + "}"])
def test_a_number_with_many_digits_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError, match=rf"^x: a number with .* digits; at most {MAX_DIGITS}"):
        parse_json(text, name="x")


def test_what_is_not_json_has_a_line_and_a_column() -> None:
    with pytest.raises(UserError, match=r"^x:2: not JSON: .* \(column 4\)$"):
        parse_json("[1,\n   ?]", name="x")


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(tmp_path / "x.json", limit=MIB) == [1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"one\ntwo \xff", r"x\.json:2: not UTF-8$"),
        ("text".encode("utf-16"), r"x\.json: in UTF-16: save it as UTF-8$"),
        (b"a" * 2000, r"x\.json: larger than 1,000 bytes"),
    ],
)
def test_a_text_that_cannot_be_read_names_its_file(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_text(tmp_path / "x.json", limit=1000)


def test_a_file_of_exactly_the_limit_is_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"a" * 1000)
    assert len(read_bytes(tmp_path / "x", limit=1000)) == 1000


@pytest.mark.parametrize("kind", ["fifo", "device", "link to a device", "folder", "none"])
def test_only_a_regular_file_is_read_and_nothing_is_waited_for(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "x"
    messages = {"folder": "is a folder, not a file", "none": "cannot be read: No such file"}
    if kind == "fifo":
        os.mkfifo(file)
    elif kind == "device":
        file = Path("/dev/zero")
    elif kind == "link to a device":
        file.symlink_to("/dev/zero")
    elif kind == "folder":
        file.mkdir()
    with pytest.raises(UserError, match=messages.get(kind, "not a regular file")):
        read_bytes(file, limit=MIB)


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"content")
    (tmp_path / "x").symlink_to(tmp_path / "target")
    assert read_bytes(tmp_path / "x", limit=MIB) == b"content"


def test_a_name_with_a_null_character_is_refused() -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_bytes(Path("a\0b"), limit=MIB)
