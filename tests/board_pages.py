"""Results for the tests of the page, and short ways to read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from factories import make_costs, make_result

from sparsebench.leaderboard import FORMATS
from sparsebench.leaderboard.build import build
from sparsebench.results.records import LossPoint, TrainingRecord

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from sparsebench.results.records import RunResult


def results(*, methods: int = 6, seeds: int = 2, tasks: int = 2) -> list[RunResult]:
    """Return methods of different scores and costs, from 10 trainable parameters up."""
    return [
        make_result(
            0.5 + ((7 * n) % methods) / methods / 3 + seed / 500,
            method=f"method-{n}",
            task=f"task-{task}",
            seed=seed,
            costs=make_costs(trainable=10 ** (n % 6 + 1), gmacs=1 + n % 5, ratio=0.5 + n % 9 / 10),
        )
        for n in range(methods)
        for task in range(tasks)
        for seed in range(1, seeds + 1)
    ]


def scored(*rows: tuple[str, int, tuple[float, ...]], curve: bool = False) -> str:
    """Return the page of rows of a name, trainable parameters, and a score for each seed."""
    made = [
        make_result(
            score,
            method=name,
            seed=seed,
            costs=make_costs(trainable=trainable),
            settings={"rank": 8},
        )
        for name, trainable, scores in rows
        for seed, score in enumerate(scores, start=1)
    ]
    if curve:
        points = tuple(
            LossPoint(step=step, loss=1 / step, learning_rate=0.1) for step in range(1, 100)
        )
        training = TrainingRecord(steps=99, seconds=1.0, examples_per_second=1.0, loss=points)
        made = [each.model_copy(update={"training": training}) for each in made]
    return FORMATS["html"](build(made))


def first_column(page: Page) -> list[str]:
    """Return the methods that the table shows, in its order."""
    return page.locator("table.board > tbody > tr:not([hidden]) > th").all_inner_texts()


def dots(page: Page, look: str = "dot") -> list[str]:
    """Return the methods of the dots with a look, sorted."""
    labels = page.locator(f".explore .{look}.dot").evaluate_all(
        "all => all.map((dot) => dot.getAttribute('aria-label'))"
    )
    return sorted(label.split(":")[0] for label in labels)
