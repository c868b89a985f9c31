"""The reader of tab-separated files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sparsebench.errors import UserError
from sparsebench.tasks.reading import read_tsv

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.tsv"


def test_values_come_in_the_order_asked_for_with_the_line(file: Path) -> None:
    file.write_text("a\tb\tc\n1\t2\t3\n4\t5\t6\n")
    assert list(read_tsv(file, columns=["c", "a"])) == [(2, ["3", "1"]), (3, ["6", "4"])]


def test_quotes_are_text(file: Path) -> None:
    file.write_text('a\tb\n"1\t2\n3"\t""\n')
    assert list(read_tsv(file, columns="ab")) == [(2, ['"1', "2"]), (3, ['3"', '""'])]


def test_a_byte_order_mark_windows_lines_and_empty_lines_do_not_matter(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbfa\tb\r\n1\t2\r\n\r\n3\t4")
    assert list(read_tsv(file, columns="ab")) == [(2, ["1", "2"]), (4, ["3", "4"])]


def test_other_breaks_and_blanks_do_not_end_a_row(file: Path) -> None:
    file.write_text("a\tb\nx\u2028y\x0b \t z\x85\n", encoding="utf-8")
    assert list(read_tsv(file, columns="ab")) == [(2, ["x\u2028y\x0b ", " z\x85"])]


def test_a_file_without_header(file: Path) -> None:
    file.write_text("1\t2\n")
    assert list(read_tsv(file, columns="b", header="ab")) == [(1, ["2"])]


def test_a_missing_column_is_told_the_nearest(file: Path) -> None:
    file.write_text("Label\ttext\n")
    with pytest.raises(UserError, match=r"some\.tsv:1: no column 'label'; .*'Label'"):
        list(read_tsv(file, columns=["label"]))


@pytest.mark.parametrize("line", ["1", "1\t2\t3"])
def test_too_few_or_too_many_values(file: Path, line: str) -> None:
    file.write_text(f"a\tb\n1\t2\n{line}\n")
    with pytest.raises(UserError, match=r"some\.tsv:3: \d values where 2 are expected \(a, b\)"):
        list(read_tsv(file, columns="ab"))


def test_too_many_values_are_never_skipped(file: Path) -> None:
    file.write_text("a\tb\n1\n1\t2\t3\n")
    with pytest.raises(UserError, match=r":3: 3 values"):
        list(read_tsv(file, columns="ab", skip_short=True))


def test_not_utf_8(file: Path) -> None:
    file.write_bytes(b"a\tb\n1\t2\n1\t\xff\n")
    with pytest.raises(UserError, match=r"some\.tsv:3: not UTF-8"):
        list(read_tsv(file, columns="ab"))
