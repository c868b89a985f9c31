"""The page of all keys of a suite matches the models."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparsebench.cli.settings import describe_settings
from sparsebench.suite import RESERVED, SECTIONS

PAGE = Path(__file__).parents[2] / "docs/suite-keys.md"
HEADING = {
    "suite": "At the top",
    "tasks": "`tasks`: of one task",
    "methods": "`methods`: of one label",
}


@pytest.mark.parametrize("section", SECTIONS)
def test_the_page_has_the_table_of_each_section(section: str) -> None:
    heading = HEADING.get(section, f"`{section}`")
    _, _, below = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    shown = [line for line in below.partition("\n## ")[0].splitlines() if line.startswith("|")]
    assert shown == markdown(section)


def test_every_reserved_name_and_no_other_section_is_told() -> None:
    assert set(RESERVED) <= set(SECTIONS)
    assert PAGE.read_text(encoding="utf-8").count("\n## ") == len(SECTIONS)


def markdown(section: str) -> list[str]:
    """What the page's table should be: where it is not, copy it from the failure."""
    rows = [
        " | ".join([f"| `{key}`", *(cell.replace("|", r"\|") for cell in cells)]) + " |"
        for key, *cells in describe_settings(SECTIONS[section])
    ]
    return ["| key | type | default | what it is |", "| --- | --- | --- | --- |", *rows]
