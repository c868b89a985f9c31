"""Confidence intervals and p-values match values computed by hand or by SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sparsebench.statistics import TaskScores, difference, estimate, pairwise


def panel(*scores: float, sampling: list[float] | None = None) -> TaskScores:
    return TaskScores(np.array(scores), None if sampling is None else np.array(sampling))


def test_seeds_alone_are_a_t_test() -> None:
    scores = (0.80, 0.82, 0.87)
    found = estimate([panel(*scores)])
    expected = stats.ttest_1samp(scores, 0)

    assert found.value == pytest.approx(0.83)
    assert found.freedom == pytest.approx(2)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.sampling_error is None


def test_the_two_errors_stand_apart_and_add_up() -> None:
    found = estimate([panel(0.5, 0.7, sampling=[0.03, -0.04, 0.01])])

    assert found.seed_error == pytest.approx(0.1)  # the sd is 0.1414, over the root of 2
    assert found.sampling_error == pytest.approx(np.sqrt(0.0026))
    assert found.error == pytest.approx(np.sqrt(0.01 + 0.0026))
    # Satterthwaite: the whole variance squared, over that of the seeds squared by 1 degree
    assert found.freedom == pytest.approx(0.0126**2 / 0.01**2)
    steady = estimate([panel(0.6, 0.6, sampling=[0.03, -0.04])])
    assert steady.freedom == 2  # twice the one that two seeds have


def test_tasks_are_averaged_and_their_errors_are_independent() -> None:
    one = panel(0.5, 0.7)
    found = estimate([one, one])

    assert found.value == pytest.approx(0.6)
    assert found.seed_error == pytest.approx(0.1 / np.sqrt(2))
    assert found.freedom == pytest.approx(2)


def test_one_seed_knows_the_examples_alone() -> None:
    found = estimate([panel(0.6, sampling=[0.03, -0.04])])

    assert found.seed_error is None
    assert found.half_width == pytest.approx(1.95996 * 0.05, rel=1e-4)


def test_what_is_known_of_some_tasks_is_part_of_the_mean() -> None:
    known, unknown = panel(0.5, 0.7, sampling=[0.3, -0.4]), panel(0.5, 0.7)
    found = estimate([known, unknown])

    assert found.sampling_error == pytest.approx(0.25)
    assert found.half_width > estimate([unknown, unknown]).half_width
    other = [panel(0.4, 0.3, sampling=[0.1, 0.1]), panel(0.2, 0.1)]
    alone = estimate(difference([known, unknown], other)).p_value
    assert pairwise([[known, unknown], other])[0, 1] == pytest.approx(alone)
    single = [panel(0.6, sampling=[0.03, -0.04]), panel(0.6)]
    assert estimate(single).interval is None  # nothing is known of the second task


def test_nothing_known_claims_nothing() -> None:
    assert estimate([panel(0.6)]).interval is None
    assert estimate([panel(0.6, 0.6)]).p_value is None
    assert pairwise([[panel(0.6, 0.6)], [panel(0.5, 0.5)]])[0, 1] == 1.0


def test_all_pairs_at_once_are_each_pair_by_itself() -> None:
    generator = np.random.default_rng(0)
    methods = [
        [
            TaskScores(generator.random(3), generator.normal(0, 0.01, 50)),
            TaskScores(generator.random(3), generator.normal(0, 0.01, 80)),
        ]
        for _ in range(5)
    ]
    found = pairwise(methods)

    np.testing.assert_allclose(found, found.T)
    np.testing.assert_allclose(found.diagonal(), 1)
    for a, b in [(0, 1), (2, 4)]:
        alone = estimate(difference(methods[a], methods[b])).p_value
        assert found[a, b] == pytest.approx(alone)


def test_blocks_of_pairs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(1)
    methods = [[TaskScores(generator.random(2))] for _ in range(7)]
    whole = pairwise(methods)
    monkeypatch.setattr("sparsebench.statistics.estimates._ROWS_AT_ONCE", 30)

    np.testing.assert_array_equal(pairwise(methods), whole)


def test_what_can_be_detected_is_found_that_often() -> None:
    generator = np.random.default_rng(2)
    seeds, spread = 5, 0.02
    sizes = [
        estimate([TaskScores(generator.normal(0, spread, seeds))]).detectable for _ in range(500)
    ]
    size = float(np.sqrt(np.mean(np.square(sizes))))
    found = [
        (estimate([TaskScores(generator.normal(size, spread, seeds))]).p_value or 1) <= 0.05
        for _ in range(2000)
    ]

    assert np.mean(found) == pytest.approx(0.8, abs=0.06)
