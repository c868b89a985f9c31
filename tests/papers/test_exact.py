"""Exact figures of the papers come out the same; a wrong one would be seen."""

from __future__ import annotations

import pytest

from sparsebench.papers import load_paper
from sparsebench.papers.exact import CheckedFigure, check_exact


@pytest.mark.parametrize("name", ["pst", "dsee"])
def test_every_exact_figure_agrees(name: str) -> None:
    checked = list(check_exact(load_paper(name).exact))

    assert [each.figure.what for each in checked if not each.agrees] == []


def test_a_figure_agrees_in_the_digits_that_are_published() -> None:
    exact, rounded = (figure for figure in load_paper("dsee").exact[4:6])

    assert CheckedFigure(exact, 85_647_361.0).agrees
    assert not CheckedFigure(exact, 85_647_362.0).agrees
    assert CheckedFigure(rounded, 3.78349e14).agrees
    assert not CheckedFigure(rounded, 3.7836e14).agrees
