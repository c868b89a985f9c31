"""The plot shows the Pareto front, and the same results give the same picture."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from itertools import combinations

import pytest
from factories import make_costs, make_result
from hypothesis import given
from hypothesis import strategies as st

from sparsebench.errors import UserError
from sparsebench.leaderboard.build import build
from sparsebench.leaderboard.cost_columns import COSTS
from sparsebench.leaderboard.plot import Point, front, points_of, to_png, to_svg
from sparsebench.leaderboard.plot.layout import beside, box_of, cost_axis, linear_axis, meet

RESULTS = [
    make_result(score + seed / 100, method=name, seed=seed, costs=make_costs(trainable=trainable))
    for name, score, trainable in (
        ("full", 0.9, 1_000_000),
        ("head", 0.5, 0),
        ("lora", 0.8, 5_000),
        ("worse<&>", 0.7, 6_000),
    )
    for seed in (1, 2)
]


def test_the_front_is_what_nothing_cheaper_beats() -> None:
    (group,) = build(RESULTS).groups
    points = points_of(group, COSTS[0])

    assert [point.name for point in points] == ["head", "lora", "worse<&>", "full"]
    assert [point.name for point in front(points)] == ["head", "lora", "full"]
    assert points[0].half_width == pytest.approx(12.706 * 0.005, rel=1e-3)


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 1)), max_size=30))
def test_whatever_is_not_on_the_front_is_beaten_by_it(places: list[tuple[float, float]]) -> None:
    points = [Point(str(at), cost, score) for at, (cost, score) in enumerate(places)]
    best = front(points)

    assert [p.cost for p in best] == sorted({p.cost for p in best})
    for point in points:
        assert any(p.cost <= point.cost and p.score >= point.score for p in best)


COSTS_OF_ANY_SIZE = st.just(0.0) | st.floats(1e-6, 1e12)


@given(st.lists(COSTS_OF_ANY_SIZE, min_size=1, max_size=20))
def test_every_value_and_tick_lies_on_the_axis(values: list[float]) -> None:
    for axis in (cost_axis(values), linear_axis(values)):
        assert all(-1e-6 <= axis.place(value) <= 1 + 1e-6 for value in (*values, *axis.ticks))
        assert 2 <= len(axis.ticks) <= 12


def test_svg_is_well_formed_and_says_what_it_shows() -> None:
    image = ET.fromstring(to_svg(build(RESULTS)))  # noqa: S314 - written by us

    space = "{http://www.w3.org/2000/svg}"
    assert len(image.findall(f"{space}circle")) == 4
    assert [t.text for t in image.findall(f"{space}text[@class='label']")][2] == "worse<&>"
    assert "lora: 81.5" in image.attrib["aria-label"]
    assert image.attrib["role"] == "img"


@pytest.mark.parametrize("dot", [(100.0, 100.0), (5.0, 100.0), (395.0, 100.0)])
def test_names_of_dots_at_one_place_stand_apart(dot: tuple[float, float]) -> None:
    names = ["full", "lora", "deft-adapter"]
    places = beside([dot] * 3, names, left=0, right=400)

    boxes = [box_of(place, side, name) for (place, side), name in zip(places, names, strict=True)]
    assert not any(meet(*pair) for pair in combinations(boxes, 2))
    assert all(first >= 0 and last <= 400 for first, _, last, _ in boxes)
    assert all(abs(y - dot[1]) < 40 for (_, y), _ in places)


def test_a_name_that_is_free_stands_right_above_its_dot() -> None:
    ((place, side),) = beside([(100.0, 100.0)], ["full"], left=0, right=400)

    assert (place, side) == ((107.0, 94.0), "start")


def test_groups_are_drawn_one_below_the_other() -> None:
    other = [
        result.model_copy(update={"spec": result.spec.model_copy(update={"model": "b"})})
        for result in RESULTS
    ]
    image = ET.fromstring(to_svg(build([*RESULTS, *other])))  # noqa: S314 - written by us

    assert image.attrib["height"] == "840"


def test_nothing_measured_is_said() -> None:
    assert "nothing was measured" in to_svg(build([make_result()]))


def test_png_is_a_picture_and_the_same_each_time() -> None:
    pytest.importorskip("matplotlib")
    picture = to_png(build(RESULTS))

    assert picture.startswith(b"\x89PNG")
    assert to_png(build(RESULTS[::-1])) == picture


def test_png_without_matplotlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)

    with pytest.raises(UserError, match=r"sparsebench\[png\]"):
        to_png(build(RESULTS))
