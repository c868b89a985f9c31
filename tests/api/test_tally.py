"""The tally counts runs and estimates what is left."""

from __future__ import annotations

import pytest

from sparsebench.api.tally import Tally
from sparsebench.execution.events import Finished, Progressed, Started

TITLES = {key: f"run {key}" for key in "abcdef"}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def ended(key: str, *, seconds: float = 10.0, status: str = "ok") -> Finished:
    return Finished(key, status, 0.5 if status == "ok" else None, None, seconds)


def test_runs_are_counted_by_how_they_ended() -> None:
    tally = Tally(TITLES)
    for event in (Started("a"), ended("a"), Started("b"), ended("b", status="oom"), Started("c")):
        tally.add(event)

    now = tally.snapshot()

    assert (now.total, now.finished, now.failed) == (6, 2, 1)
    assert now.statuses == {"ok": 1, "oom": 1}
    assert [run.title for run in now.running] == ["run c"]


def test_a_run_told_of_twice_is_counted_once() -> None:
    tally = Tally(TITLES)
    tally.add(ended("a"))
    tally.add(ended("a"))

    assert tally.snapshot().finished == 1


def test_a_run_that_never_said_it_started_is_running() -> None:
    tally = Tally(TITLES)
    tally.add(Progressed("a", "train", 3, 10, 0.5))

    assert [run.trained for run in tally.snapshot().running] == [0.3]


def test_nothing_is_estimated_before_anything_is_known() -> None:
    tally = Tally(TITLES)
    tally.add(Started("a"))
    tally.add(Progressed("a", "load"))

    assert tally.snapshot().seconds_left is None


def test_the_time_left_follows_from_the_runs_that_ended() -> None:
    clock = Clock()
    tally = Tally(TITLES, clock=clock)
    tally.add(ended("a", seconds=8))
    tally.add(ended("b", seconds=12))
    tally.add(Started("c"))
    clock.now += 4

    # 10 s a run: 6 s of the one that goes on, and three more
    assert tally.snapshot().seconds_left == pytest.approx(36)


def test_runs_beside_each_other_share_the_time() -> None:
    tally = Tally(TITLES, clock=Clock())
    tally.add(ended("a"))
    for key in "bc":
        tally.add(Started(key))

    assert tally.snapshot().seconds_left == pytest.approx(50 / 2)


def test_the_last_run_is_not_shared() -> None:
    tally = Tally(TITLES, clock=Clock())
    for key in "abcdef":
        tally.add(Started(key))
    for key in "abcde":
        tally.add(ended(key))

    assert tally.snapshot().seconds_left == pytest.approx(10)


def test_a_run_that_failed_early_does_not_make_the_others_short() -> None:
    tally = Tally(TITLES, clock=Clock())
    tally.add(ended("a", seconds=1, status="error"))
    assert tally.snapshot().seconds_left == pytest.approx(5)

    tally.add(ended("b", seconds=10))
    assert tally.snapshot().seconds_left == pytest.approx(40)


def test_a_run_is_estimated_by_its_own_pace() -> None:
    clock = Clock()
    tally = Tally({"a": "run a"}, clock=clock)
    tally.add(Started("a"))
    clock.now += 10
    tally.add(Progressed("a", "train", 25, 100))

    assert tally.snapshot().seconds_left == pytest.approx(30)


def test_the_first_estimate_comes_from_measured_steps_and_not_from_loading() -> None:
    clock = Clock()
    tally = Tally({"a": "run a"}, clock=clock)
    tally.add(Started("a"))
    clock.now += 100
    tally.add(Progressed("a", "train", 1, 1000))
    assert tally.snapshot().seconds_left is None

    clock.now += 2
    tally.add(Progressed("a", "train", 3, 1000))
    assert tally.snapshot().seconds_left == pytest.approx(997, rel=1e-3)


def test_steps_of_an_earlier_command_are_not_counted_as_fast() -> None:
    clock = Clock()
    tally = Tally({"a": "run a"}, clock=clock)
    tally.add(Progressed("a", "train", 500, 1000))
    clock.now += 10
    tally.add(Progressed("a", "train", 510, 1000))
    assert tally.snapshot().seconds_left == pytest.approx(490)


def test_a_run_that_is_done_training_keeps_its_progress() -> None:
    clock = Clock()
    tally = Tally({"a": "run a", "b": "run b"}, clock=clock)
    clock.now += 10
    tally.add(Progressed("a", "load"))
    clock.now += 10
    tally.add(Progressed("a", "train", 9, 9))
    tally.add(Progressed("a", "evaluate", 1, 5))

    now = tally.snapshot()
    assert [run.trained for run in now.running] == [1.0]
    assert now.seconds_left == pytest.approx(10)


def test_a_long_evaluation_is_estimated_by_its_own_pace() -> None:
    clock = Clock()
    tally = Tally({"a": "run a"}, clock=clock)
    tally.add(Started("a"))
    clock.now += 10
    tally.add(Progressed("a", "train", 9, 9))
    tally.add(Progressed("a", "evaluate", 1, 100))
    clock.now += 20
    tally.add(Progressed("a", "evaluate", 25, 100))

    assert tally.snapshot().seconds_left == pytest.approx(60)


def test_an_evaluation_amid_training_is_not_the_end() -> None:
    clock = Clock()
    tally = Tally({"a": "run a"}, clock=clock)
    tally.add(Started("a"))
    clock.now += 10
    tally.add(Progressed("a", "train", 1, 4))
    tally.add(Progressed("a", "evaluate", 4, 4))

    assert tally.snapshot().seconds_left == pytest.approx(30)


def test_at_the_end_nothing_is_left() -> None:
    tally = Tally({"a": "run a"})
    tally.add(ended("a"))

    assert tally.snapshot().seconds_left == 0
