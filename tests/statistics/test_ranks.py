"""Holm's correction, shared ranks, and the paired tests."""

from __future__ import annotations

import numpy as np
import pytest

from sparsebench.statistics import Standing, bootstrap_test, holm, mcnemar, standings


def test_holm_by_hand() -> None:
    # 0.01 * 4, 0.015 * 3, then at least what came before: 0.03 * 2, 0.04 * 1 -> 0.06
    found = holm(np.array([0.03, 0.01, 0.04, 0.015]))

    np.testing.assert_allclose(found, [0.06, 0.04, 0.06, 0.045])
    assert holm(np.array([0.9, 0.8])).max() == 1.0


def p_values(**pairs: float) -> np.ndarray:
    """The p-value of each pair by its two letters; 1 for the others."""
    found = np.ones((3, 3))
    for pair, value in pairs.items():
        a, b = ("abc".index(letter) for letter in pair)
        found[a, b] = found[b, a] = value
    return found


def test_methods_that_do_not_differ_significantly_share_a_rank() -> None:
    assert standings([0.9, 0.8, 0.7], p_values()) == [Standing((), alone=False)] * 3
    # a ties with b, and b with c, though a and c differ significantly
    found = standings([0.9, 0.8, 0.7], p_values(ac=0.001))
    assert found == [
        Standing((), alone=False),
        Standing((), alone=False),
        Standing((0,), alone=False),
    ]
    assert [each.rank for each in found] == [1, 1, 2]
    assert standings([0.7, 0.9, 0.8], p_values(ab=0.001, bc=0.001)) == [
        Standing((1,), alone=False),
        Standing((), alone=True),
        Standing((1,), alone=False),
    ]


def test_a_method_by_itself_beats_nobody() -> None:
    assert standings([0.5], np.ones((1, 1))) == [Standing((), alone=False)]


def test_mcnemar_is_a_fair_coin() -> None:
    first = np.array([True] * 6 + [False] + [True] * 20)
    second = np.array([False] * 6 + [True] + [True] * 20)

    # 1 of 7 or fewer, on both sides: 2 * (1 + 7) / 2 ** 7
    assert mcnemar(first, second).p_value == pytest.approx(0.125)
    assert mcnemar(first, first).p_value == 1.0


def test_the_bootstrap_finds_what_is_there_and_nothing_else() -> None:
    generator = np.random.default_rng(0)
    one, noise = generator.normal(0, 1, 300), generator.normal(0, 0.5, 300)

    def p_value(shift: float) -> float:
        other = one + noise - noise.mean() + shift
        return bootstrap_test(lambda at: (one[at].mean(), other[at].mean()), 300).p_value

    assert p_value(0.2) < 0.001
    assert p_value(0.0) > 0.9
