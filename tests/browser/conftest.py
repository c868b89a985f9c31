"""A headless Chromium without a network, and what it complained about."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""What the browser is called where it is installed; SPARSEBENCH_CHROMIUM names another."""


@dataclass(frozen=True)
class Opened:
    """A page, and every error that its console or its scripts gave."""

    page: Page
    errors: list[str]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    api = pytest.importorskip("playwright.sync_api")
    named = os.environ.get("SPARSEBENCH_CHROMIUM") or next(
        filter(None, map(shutil.which, NAMES)), None
    )
    with api.sync_playwright() as driver:
        try:
            browser = driver.chromium.launch(executable_path=named, args=["--no-sandbox"])
        except api.Error as error:
            if named:  # a browser that is installed must start
                raise
            pytest.skip(f"no Chromium: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[object]:
    """Opens HTML from disk with the network off."""
    contexts = []

    def open_(html: str, **options: object) -> Opened:
        file = tmp_path / "page.html"
        file.write_text(html, encoding="utf-8")
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        page, errors = context.new_page(), []
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith("file:") else errors.append(r.url))
        page.goto(file.as_uri())
        return Opened(page, errors)

    yield open_
    for context in contexts:
        context.close()
