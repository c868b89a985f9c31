"""The page in a browser, from disk, with the network off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from board_pages import dots, first_column, results
from factories import make_costs, make_densities, make_result

from sparsebench.leaderboard import FORMATS
from sparsebench.leaderboard.build import build
from sparsebench.results.records import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Opened

HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script>|\n"\'x'

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture
def opened(open_page: Callable[..., Opened]) -> Opened:
    failed = make_result(status=Status.OOM, method="full", task="task-0")
    return open_page(FORMATS["html"](build([*results(), failed])))


def test_it_opens_without_a_complaint(opened: Opened) -> None:
    assert opened.page.title() == "sparsebench leaderboard"
    assert opened.page.locator("tbody tr").count() == 7
    assert opened.errors == []


def test_a_heading_sorts_the_best_first_and_what_is_missing_stays_last(opened: Opened) -> None:
    page = opened.page
    headings = page.locator("th[scope=col]")
    button = headings.get_by_role("button", name="average")
    button.click()
    downwards = first_column(page)
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    button.click()
    upwards = first_column(page)

    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
    assert upwards[-1] == downwards[-1] == "full"
    assert upwards[:-1] == downwards[:-1][::-1]
    headings.get_by_role("button", name="trainable").press("Enter")  # by keyboard, by number
    assert first_column(page)[:6] == [f"method-{n}" for n in range(6)]
    headings.get_by_role("button", name="method").click()
    assert first_column(page) == ["full", *(f"method-{n}" for n in range(6))]
    assert opened.errors == []


def test_fields_filter(opened: Opened) -> None:
    page = opened.page
    count = page.locator(".count")
    page.get_by_label("Find a method").fill("METHOD-3")
    assert first_column(page) == ["method-3"]
    assert count.inner_text() == "1 of 7 rows"
    page.get_by_role("button", name="Clear filters").click()
    assert page.get_by_label("Filter GMACs").is_hidden()
    page.get_by_role("button", name="Column filters").click()
    page.get_by_label("Filter GMACs").fill(">= 4")
    assert sorted(first_column(page)) == ["method-3", "method-4"]
    assert dots(page) == ["method-3", "method-4"]
    page.get_by_label("Filter status").fill("missing")
    assert first_column(page) == []
    page.get_by_role("button", name="Clear filters").click()
    assert count.inner_text() == "7 rows"


def test_density_is_shown_layer_by_layer(open_page: Callable[..., Opened]) -> None:
    sparse = make_costs(density=make_densities(0.25, 0.5))
    shorter = make_costs(density=make_densities(0.75))
    measured = [make_result(0.9, costs=sparse), make_result(0.8, method=HOSTILE, costs=shorter)]
    opened = open_page(FORMATS["html"](build([*measured, make_result(0.7, method="full")])))
    table = opened.page.locator("table.layers")
    assert table.is_hidden()
    opened.page.get_by_text("Activation density by layer").click()
    assert table.is_visible()

    headings = table.locator("thead th").all_inner_texts()
    assert headings == ["method", "encoder 0", "encoder 1"]
    rows = table.locator("tbody tr")
    assert rows.first.locator("th, td").all_inner_texts() == ["lora", "25.0", "50.0"]
    assert rows.nth(1).locator("td").all_inner_texts() == ["75.0", "—"]
    assert rows.count() == 2
    box = "(cell) => getComputedStyle(cell).backgroundImage"
    assert "25%" in rows.first.locator("td").first.evaluate(box)
    assert opened.errors == []


def test_a_hostile_name_does_nothing(open_page: Callable[..., Opened]) -> None:
    said: list[str] = []
    named = [make_result(0.9, method=HOSTILE, model=HOSTILE, task=HOSTILE, costs=make_costs())]
    failed = make_result(status=Status.ERROR, reason=HOSTILE, model=HOSTILE)
    opened = open_page(FORMATS["html"](build([*named, failed])))
    opened.page.on("dialog", lambda dialog: said.append(dialog.message))

    assert opened.page.locator("img").count() == 0
    assert opened.page.locator("script:not([type])").count() == 1
    assert opened.page.locator("script[type='application/json']").count() == 1
    assert "<script>alert(2)</script>" in opened.page.locator("tbody th").first.inner_text()
    opened.page.locator("button.open").first.click()
    assert "<script>alert(2)</script>" in opened.page.locator(".sheet").inner_text()
    opened.page.locator("g.dot").first.hover()
    assert "<script>alert(2)</script>" in opened.page.locator(".tip").inner_text()
    assert opened.page.locator("img").count() == 0
    assert (said, opened.errors) == ([], [])


def test_a_script_that_is_not_ours_would_not_run(open_page: Callable[..., Opened]) -> None:
    html = FORMATS["html"](build(results()))
    opened = open_page(html.replace("</main>", "<script>document.title = 'mine'</script></main>"))

    assert opened.page.title() == "sparsebench leaderboard"
    assert any("Content Security Policy" in error for error in opened.errors)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_only_the_table_scrolls_sideways(
    open_page: Callable[..., Opened], scheme: str
) -> None:
    opened = open_page(
        FORMATS["html"](build(results())),
        viewport={"width": 360, "height": 740},
        color_scheme=scheme,
    )
    page = opened.page

    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(247, 248, 249)", "dark": "rgb(16, 20, 24)"}[scheme]


def test_on_a_phone_open_rows_and_the_matrix_fit(open_page: Callable[..., Opened]) -> None:
    opened = open_page(
        FORMATS["html"](build(results(seeds=3))),
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
    )
    page = opened.page
    page.locator("g.dot").nth(1).tap()
    assert page.locator(".tip").is_visible()
    assert page.locator("tr.details").count() == 0
    page.locator("g.dot").nth(1).tap()
    assert page.locator("tr.details").count() == 1
    page.get_by_label("Significance").select_option("matrix")

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator(".sheet").evaluate("(sheet) => sheet.offsetWidth") <= 390
    assert opened.errors == []


def test_without_scripts_everything_is_there_to_read(open_page: Callable[..., Opened]) -> None:
    opened = open_page(FORMATS["html"](build(results())), java_script_enabled=False)

    assert opened.page.locator("tbody tr").count() == 6
    assert opened.page.locator("figure:visible").count() > 1
    assert opened.page.locator(".scripted:visible").count() == 0


def test_ten_thousand_results_still_sort(open_page: Callable[..., Opened]) -> None:
    many = results(methods=1000, seeds=5, tasks=2)
    assert len(many) == 10_000
    opened = open_page(FORMATS["html"](build(many)))
    button = opened.page.locator("th[scope=col]").get_by_role("button", name="average")
    button.click()
    button.click()

    scores = opened.page.locator("tbody td:nth-child(3)").all_inner_texts()
    numbers = [float(text.split()[0]) for text in scores]
    assert numbers == sorted(numbers)
    assert opened.errors == []
