"""Rows that open, columns to choose, significance as letters or as a matrix."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from board_pages import first_column, results, scored
from factories import make_result

from sparsebench.leaderboard import FORMATS
from sparsebench.leaderboard.build import build
from sparsebench.results.records import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Opened

pytestmark = pytest.mark.xdist_group("browser")

THREE = (
    ("best", 30, (0.900, 0.902, 0.901)),
    ("middle", 20, (0.70, 0.78, 0.86)),
    ("worst", 10, (0.600, 0.601, 0.602)),
)


def test_a_row_opens_to_its_details(open_page: Callable[..., Opened]) -> None:
    opened = open_page(scored(("lora", 30, (0.8, 0.9)), ("full", 60, (0.7, 0.75)), curve=True))
    page = opened.page
    button = page.get_by_role("button", name="lora", exact=True)
    button.press("Enter")
    sheet = page.locator("tr.details .sheet")

    assert button.get_attribute("aria-expanded") == "true"
    text = sheet.inner_text()
    for words in ("rank", "3 epochs", "batch size", "2026-01-01", "torch", "80.0", "90.0"):
        assert words in text
    assert sheet.locator("svg.curve polyline").count() == 2
    assert "seed 1 ends at 0.0" in (sheet.locator("svg.curve").get_attribute("aria-label") or "")
    assert sheet.get_by_role("link", name="Paper").get_attribute("href") == (
        "https://arxiv.org/abs/2106.09685"
    )
    page.locator("th[scope=col]").get_by_role("button", name="trainable").click()
    assert page.locator("table.board > tbody > tr").nth(1).get_attribute("class") == "details"
    page.get_by_label("Find a method").fill("full")
    assert page.locator("tr.details").is_hidden()
    page.get_by_label("Find a method").fill("")
    button.click()
    assert page.locator("tr.details").count() == 0
    assert opened.errors == []


def test_a_row_that_failed_opens_to_its_reason(open_page: Callable[..., Opened]) -> None:
    failed = make_result(status=Status.OOM, method="full", reason="4 GiB were missing")
    page = open_page(FORMATS["html"](build([make_result(0.8), failed]))).page
    page.get_by_role("button", name="full", exact=True).click()

    assert "mrpc, seed 1: oom: 4 GiB were missing" in page.locator(".sheet").inner_text()


def test_a_dot_opens_its_row_by_keyboard(open_page: Callable[..., Opened]) -> None:
    page = open_page(scored(*THREE)).page
    page.locator("g.dot").first.focus()
    assert page.locator(".tip").inner_text().splitlines()[0] == "worst"
    page.keyboard.press("ArrowRight")
    assert page.locator(".tip").inner_text().splitlines()[0] == "middle"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")

    assert page.get_by_role("button", name="worst", exact=True).get_attribute("aria-expanded") == (
        "true"
    )


def test_columns_can_be_hidden(open_page: Callable[..., Opened]) -> None:
    page = open_page(FORMATS["html"](build(results()))).page
    page.get_by_text("Columns", exact=True).click()
    page.get_by_label("latency", exact=True).uncheck()

    assert page.locator("th[scope=col]:visible", has_text="latency").count() == 0
    cells = page.locator("table.board > tbody > tr").first.locator("td:visible").count()
    assert cells == page.locator("th[scope=col]:visible").count() - 1
    page.keyboard.press("Escape")
    assert page.get_by_label("latency", exact=True).is_hidden()
    assert "hide=latency" in page.url


def test_letters_show_which_averages_differ(open_page: Callable[..., Opened]) -> None:
    page = open_page(scored(*THREE)).page
    assert page.locator("sup.letters:visible").count() == 0
    page.get_by_label("Significance").select_option("letters")

    assert first_column(page) == ["best", "middle", "worst"]
    assert page.locator("sup.letters:visible").all_inner_texts() == ["a", "ab", "b"]


def test_a_matrix_shows_every_pair_of_the_rows_left(open_page: Callable[..., Opened]) -> None:
    page = open_page(scored(*THREE)).page
    page.get_by_label("Significance").select_option("matrix")
    cells = page.locator(".matrix tbody td")

    assert cells.all_inner_texts() == ["", "·", "▲", "·", "", "·", "▼", "·", ""]
    assert cells.nth(2).get_attribute("title") == "best: significantly better than worst"
    page.get_by_role("textbox", name="Trainable parameters").fill("20")
    assert page.locator(".matrix tbody th").all_inner_texts() == ["middle", "worst"]


def test_the_data_of_the_page_ends_no_script(open_page: Callable[..., Opened]) -> None:
    hostile = "</script><script>document.title = 'mine'</script>"
    page = open_page(FORMATS["html"](build([make_result(0.9, method=hostile)]))).page
    data = json.loads(page.locator("script.data").text_content() or "")

    assert data["rows"][0]["name"] == hostile
    assert page.title() == "sparsebench leaderboard"
