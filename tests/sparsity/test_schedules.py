from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsebench.sparsity import Schedule


def test_is_the_cubic_schedule_of_the_paper() -> None:
    schedule = Schedule(0.0, 0.9, 0.1, 0.7)
    total = 1000
    for step in range(101, 701):
        expected = 0.9 + (0.0 - 0.9) * (1 - (step - 0.1 * total) / (total - 0.4 * total)) ** 3
        assert schedule.at(step / total) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("progress", "value"), [(0, 0.2), (0.1, 0.2), (0.7, 0.9), (0.70001, 0.9), (1, 0.9)]
)
def test_rests_before_its_start_and_after_its_end(progress: float, value: float) -> None:
    assert Schedule(0.2, 0.9, 0.1, 0.7).at(progress) == value


@given(
    points=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
    progress=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
    every=st.sampled_from([0.0, 0.01, 0.3]),
    power=st.floats(0.5, 4),
)
def test_never_moves_back(
    points: list[float], progress: list[float], every: float, power: float
) -> None:
    schedule = Schedule(0.0, 0.9, *points, power=power, every=every)
    earlier, later = map(schedule.at, progress)
    assert 0 <= earlier <= later <= 0.9
    assert schedule.at(1.0) == 0.9


def test_a_power_of_one_is_a_straight_line() -> None:
    assert Schedule(0.0, 1.0, 0.2, 0.6, power=1).at(0.3) == pytest.approx(0.25)


def test_moves_only_so_often() -> None:
    schedule = Schedule(0.0, 0.9, every=0.1)
    values = {schedule.at(step / 1000) for step in range(1001)}
    assert len(values) == 11
    assert schedule.at(0.3) == schedule.at(0.39) == Schedule(0.0, 0.9).at(0.3)


def test_may_be_a_single_step() -> None:
    schedule = Schedule(0.0, 0.5, 0.4, 0.4)
    assert [schedule.at(p) for p in (0.3, 0.39999, 0.4, 0.5)] == [0, 0, 0.5, 0.5]


def test_says_when_it_is_final() -> None:
    schedule = Schedule(0.0, 0.9, 0.1, 0.7)
    assert not schedule.is_final(0.69)
    assert schedule.is_final(0.7)


@pytest.mark.parametrize("points", [(0.5, 0.4), (-0.1, 0.5), (0.5, 1.1)])
def test_refuses_points_outside_the_run(points: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="of the run"):
        Schedule(0.0, 0.9, *points)
