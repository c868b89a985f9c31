"""LaTeX: a booktabs table in which every name is text."""

from __future__ import annotations

from factories import make_costs, make_result

from sparsebench.leaderboard import FORMATS
from sparsebench.leaderboard.build import build
from sparsebench.leaderboard.render.latex import escape


def test_by_eye() -> None:
    results = [
        make_result(0.8 + seed / 100, method=method, seed=seed, costs=make_costs())
        for method in ("full", "a_b & c")
        for seed in (1, 2)
    ]
    lines = FORMATS["tex"](build(results)).splitlines()

    assert r"\toprule" in lines
    assert (
        r"a\_b \& c & 1 & 81.5 $\pm$ 6.4 & +0.0 $\pm$ 0.0 & 81.5 & 0.500 \% (5,000) & 2.000"
        in "\n".join(lines)
    )
    assert lines.count(r"\begin{table*}") == lines.count(r"\end{table*}") == 1


def test_no_name_is_an_argument_of_the_line_before() -> None:
    lines = FORMATS["tex"](build([make_result(0.5, method="[1em]")])).splitlines()

    assert any(line.startswith("{}[1em] &") for line in lines)
    assert not any(line.startswith("[1em]") for line in lines)


def test_no_name_gives_a_command() -> None:
    assert escape(r"\input{x} $y^2$ ~") == (
        r"\textbackslash{}input\{x\} \$y\textasciicircum{}2\$ \textasciitilde{}"
    )
