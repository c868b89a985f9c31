"""The published figures can be read, and name what exists."""

from __future__ import annotations

import pytest

from sparsebench.errors import UnknownNameError
from sparsebench.method_registry import METHODS
from sparsebench.papers import load_paper, papers
from sparsebench.suite.files import find_suite, load_suite, suites


def test_every_paper_is_there() -> None:
    assert set(papers()) == {"pst", "dsee", "deft", "movement"}


@pytest.mark.parametrize("name", ["pst", "dsee", "deft", "movement"])
def test_tables_name_what_their_suite_has(name: str) -> None:
    paper = load_paper(name)

    assert paper.name == name
    assert paper.exact or paper.tables or paper.claims
    for figure in paper.exact:
        assert figure.method is None or figure.method in METHODS
    for table in paper.tables:
        assert table.metrics.keys() >= {task for scores in table.rows.values() for task in scores}
        if table.suite:
            suite = load_suite(find_suite(table.suite)).suite
            assert set(table.rows) <= set(suite.methods)
            assert {task for scores in table.rows.values() for task in scores} <= set(suite.tasks)


def test_figures_are_no_suites() -> None:
    assert not [name for name in suites() if "tables" in name]
    assert "papers/pst-glue" in suites()


def test_an_unknown_paper_is_told() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'dsee'"):
        load_paper("dse")
