"""The leaderboard inside a Markdown file that says other things, too: a block between two marks."""

from __future__ import annotations

from sparsebench.errors import UserError

BEGIN = "<!-- sparsebench:leaderboard -->"
END = "<!-- /sparsebench:leaderboard -->"


def with_block(document: str, block: str) -> str:
    """Returns a document with what stands between the marks replaced.

    Args:
        document: A Markdown file that has each mark once, on a line of its own.
        block: The leaderboard as Markdown.

    Raises:
        UserError: A mark is missing, or there twice, or they are the wrong way round.
    """
    lines = [line.strip() for line in document.splitlines()]
    if lines.count(BEGIN) != 1 or lines.count(END) != 1 or lines.index(BEGIN) > lines.index(END):
        raise UserError(f"put two lines where the leaderboard is to stand: {BEGIN} and {END}")
    kept = document.splitlines(keepends=True)
    before, after = kept[: lines.index(BEGIN)], kept[lines.index(END) + 1 :]
    ends = "\r\n" if kept[len(before)].endswith("\r\n") else "\n"
    new = f"{BEGIN}\n\n{block.strip()}\n\n{END}\n".replace("\n", ends)
    return "".join([*before, new, *after])
