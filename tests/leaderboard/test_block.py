"""A leaderboard is put between two marks of a file, and nothing else of it changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsebench.errors import UserError
from sparsebench.leaderboard.render.markdown import BEGIN, END, with_block

LINES = st.text(st.characters(exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"))


@given(LINES, LINES, LINES)
def test_only_the_block_changes(before: str, old: str, after: str) -> None:
    document = f"{before}\n{BEGIN}\n{old}\n{END}\n{after}"
    changed = with_block(document, "| new |\n")

    assert changed == f"{before}\n{BEGIN}\n\n| new |\n\n{END}\n{after}"
    assert with_block(changed, "| new |\n") == changed


def test_the_line_endings_of_the_file_stay() -> None:
    document = f"a\r\n{BEGIN}\r\nold\r\n{END}\r\nb\r\n"

    assert with_block(document, "1\n2") == f"a\r\n{BEGIN}\r\n\r\n1\r\n2\r\n\r\n{END}\r\nb\r\n"


@pytest.mark.parametrize("document", ["", BEGIN, f"{END}\n{BEGIN}", f"{BEGIN}\n{BEGIN}\n{END}"])
def test_without_both_marks_nothing_is_written(document: str) -> None:
    with pytest.raises(UserError, match="put two lines"):
        with_block(document, "new")
