"""The controls for those who choose under a budget: budget, axes, front, state in the address."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from board_pages import dots, first_column, results, scored
from factories import make_costs, make_result

from sparsebench.leaderboard import FORMATS
from sparsebench.leaderboard.build import build

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Opened

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture
def opened(open_page: Callable[..., Opened]) -> Opened:
    full = make_result(0.6, method="unmeasured", costs=make_costs(trainable=None), task="task-0")
    return open_page(FORMATS["html"](build([*results(), full])))


@pytest.mark.parametrize(
    ("field", "text", "left"),
    [
        ("Trainable parameters", "1k", ["0", "1", "2"]),
        ("Trainable parameters", "<= 1,000", ["0", "1", "2"]),
        ("Trainable parameters", "1 %", ["0", "1", "2", "3"]),
        ("Multiply-adds", "2G", ["0", "1", "5"]),
        ("Multiply-adds", "0.2x", ["0", "5"]),
        ("Latency", "0.6x", ["0", "1"]),
        ("Latency", "60 %", ["0", "1"]),
    ],
)
def test_a_budget_filters_table_and_plot_together(
    opened: Opened, field: str, text: str, left: list[str]
) -> None:
    page = opened.page
    page.get_by_role("textbox", name=field).fill(text)
    expected = [f"method-{n}" for n in left]

    assert [name for name in sorted(first_column(page)) if name != "unmeasured"] == expected
    assert dots(page) == expected
    assert page.locator(".ghost").count() == 6 - len(left)
    assert opened.errors == []


def test_a_row_without_the_measurement_does_not_fit(opened: Opened) -> None:
    page = opened.page
    page.get_by_role("textbox", name="Trainable parameters").fill("1G")

    assert page.locator(".fit").inner_text() == "6 of 7 methods fit the budget; 1 not measured"
    page.get_by_role("button", name="Remove the budget").click()
    assert page.locator(".fit").inner_text() == "No limit is set"
    assert len(first_column(page)) == 7


def test_a_budget_that_cannot_be_read_limits_nothing_and_is_marked(opened: Opened) -> None:
    field = opened.page.get_by_role("textbox", name="Latency")
    field.fill("fast")

    assert field.get_attribute("aria-invalid") == "true"
    assert len(first_column(opened.page)) == 7


def test_a_latency_shown_as_the_limit_fits(open_page: Callable[..., Opened]) -> None:
    ratios = {"same": 1.004, "slow": 1.006}
    made = [
        make_result(0.8, method=name, costs=make_costs(ratio=ratio))
        for name, ratio in ratios.items()
    ]
    page = open_page(FORMATS["html"](build(made))).page
    page.get_by_role("textbox", name="Latency").fill("1.0x")

    assert first_column(page) == ["same"]


def test_a_slider_steps_through_the_rows_by_keyboard(opened: Opened) -> None:
    page = opened.page
    slider = page.get_by_role("slider", name="Trainable parameters, at most")
    slider.focus()
    slider.press("ArrowLeft")
    slider.press("ArrowLeft")

    assert page.get_by_role("textbox", name="Trainable parameters").input_value() == "100k"
    assert dots(page) == [f"method-{n}" for n in range(5)]
    assert slider.get_attribute("aria-valuetext") == "100k"


def test_both_axes_are_free(opened: Opened) -> None:
    page = opened.page
    picture = page.locator("svg.explore")
    assert picture.get_attribute("aria-label") == "average score against trainable parameters"
    page.get_by_label("Horizontal").select_option("latency")
    page.get_by_label("Vertical").select_option("task-1")

    label = picture.get_attribute("aria-label")
    assert label == "task-1 against latency, relative to the backbone"
    page.get_by_label("Vertical").select_option("macs")
    assert "multiply-adds per sequence \u00b7 less is better" in picture.inner_html()


def test_intervals_are_drawn_in_both_directions(open_page: Callable[..., Opened]) -> None:
    made = [
        make_result(
            score, method=method, seed=seed, costs=make_costs(training_bytes=memory * 2**20)
        )
        for method in ("full", "lora")
        for seed, score, memory in ((1, 0.7, 300), (2, 0.72, 400))
    ]
    page = open_page(FORMATS["html"](build(made))).page
    assert page.locator("line.bar.up").count() == 2
    assert page.locator("line.bar.across").count() == 0
    page.get_by_label("Horizontal").select_option("train-memory")

    assert page.locator("line.bar.across").count() == 2


def test_the_front_does_not_run_through_noise(open_page: Callable[..., Opened]) -> None:
    page = open_page(
        scored(
            ("cheap", 10, (0.500, 0.502, 0.501)),
            ("lucky", 1_000, (0.45, 0.50, 0.60)),
            ("better", 10_000, (0.700, 0.701, 0.702)),
            ("worse", 100_000, (0.602, 0.600, 0.601)),
        )
    ).page

    assert dots(page, "best") == ["better", "cheap"]
    assert dots(page, "even") == ["lucky"]
    assert dots(page, "beaten") == ["worse"]
    assert page.locator(".front-list").inner_text() == "On the front: cheap, better."
    page.get_by_role("textbox", name="Trainable parameters").fill("5k")
    assert page.locator(".front-list").inner_text() == "On the front: cheap."


def test_of_rows_with_the_same_cost_the_front_names_the_higher(
    open_page: Callable[..., Opened],
) -> None:
    rows = {"low": (0.70, 300, 340), "high": (0.72, 310, 350), "dear": (0.73, 900, 910)}
    made = [
        make_result(
            score + seed / 10,
            method=name,
            seed=seed,
            costs=make_costs(training_bytes=sizes[seed] * 2**20),
        )
        for name, (score, *sizes) in rows.items()
        for seed in (0, 1)
    ]
    page = open_page(FORMATS["html"](build(made))).page
    page.get_by_label("Vertical").select_option("task-0")
    page.get_by_label("Horizontal").select_option("train-memory")

    assert page.locator(".front-list").inner_text() == "On the front: high."


def test_the_front_is_the_same_with_the_axes_exchanged(open_page: Callable[..., Opened]) -> None:
    page = open_page(
        scored(
            ("cheap", 10, (0.500, 0.502, 0.501)),
            ("lucky", 1_000, (0.45, 0.50, 0.60)),
            ("better", 10_000, (0.700, 0.701, 0.702)),
        )
    ).page
    page.get_by_label("Horizontal").select_option("average")
    page.get_by_label("Vertical").select_option("trainable")

    assert page.locator(".front-list").inner_text() == "On the front: cheap, better."
    assert dots(page, "even") == ["lucky"]
    assert "H" in (page.locator("path.front").get_attribute("d") or "")


def test_the_address_contains_the_state(open_page: Callable[..., Opened]) -> None:
    opened = open_page(FORMATS["html"](build(results())))
    page = opened.page
    page.get_by_role("textbox", name="Trainable parameters").fill("1 %")
    page.get_by_label("Horizontal").select_option("latency")
    page.locator("th[scope=col]").get_by_role("button", name="latency").click()
    page.get_by_label("Find a method").fill("method")
    page.get_by_role("button", name="method-2").first.click()
    address, order = page.url, first_column(page)
    assert "trainable=1+%25" in address
    page.goto("about:blank")
    page.goto(address)

    assert page.get_by_role("textbox", name="Trainable parameters").input_value() == "1 %"
    assert page.get_by_label("Horizontal").input_value() == "latency"
    assert first_column(page) == order == [f"method-{n}" for n in range(4)]
    assert page.locator("tr.details").count() == 1
    page.evaluate("location.hash = ''")
    assert len(first_column(page)) == 6
    assert opened.errors == []


def test_a_hostile_address_does_nothing(open_page: Callable[..., Opened]) -> None:
    opened = open_page(FORMATS["html"](build(results())))
    page = opened.page
    page.goto(
        page.url + "#x=constructor&y=%3Cimg%20src=x%3E&sort=__proto__&hide=%3Cb%3E&open=%3Ci%3E"
        "&__proto__=1&marks=%22&trainable=%3Cscript%3E&filter.status=%3Cimg%3E"
    )
    page.reload()

    assert page.locator("svg.explore").count() == 1
    assert page.locator("img").count() == 0
    assert opened.errors == []


def test_each_group_has_a_budget_of_its_own(open_page: Callable[..., Opened]) -> None:
    made = [
        make_result(0.8, model=model, method=method, costs=make_costs(trainable=trainable))
        for model in ("bert", "gpt2")
        for method, trainable in (("small", 10), ("large", 1_000))
    ]
    page = open_page(FORMATS["html"](build(made))).page
    page.get_by_role("textbox", name="Trainable parameters").nth(1).fill("100")
    sections = page.locator("main > section")
    rows = "table.board > tbody > tr:not([hidden])"
    assert page.url.endswith("#2.trainable=100")
    page.reload()

    assert sections.nth(0).locator(rows).count() == 2
    assert sections.nth(1).locator(rows).count() == 1
