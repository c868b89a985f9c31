"""Every format says the same, and no name can break out of its place."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING

import pytest
from factories import make_costs, make_result
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from sparsebench.leaderboard import FORMATS, TerminalDocument, scores_document
from sparsebench.leaderboard.build import build
from sparsebench.leaderboard.render.data import inert, to_json
from sparsebench.leaderboard.render.document import TextDocument
from sparsebench.leaderboard.render.markdown import escape
from sparsebench.leaderboard.text import clean, percent, prints
from sparsebench.results.records import RunResult, Status, TrainingRecord
from sparsebench.schema.spec import HeldOut, Protocol

if TYPE_CHECKING:
    import random

HOSTILE = "x|y<script>alert(1)</script>\n## h\x1b[2J`c`[l](u)&amp;\u202e"

RESULTS = [
    *(
        make_result(0.8 + seed / 100, method="full", task=task, seed=seed, costs=make_costs())
        for task in ("mrpc", "rte")
        for seed in (1, 2)
    ),
    *(
        make_result(0.7, method="lora", task="mrpc", seed=seed, costs=make_costs(noisy=True))
        for seed in (1, 2)
    ),
    make_result(status=Status.OOM, reason="too | large", method="lora", task="rte", seed=1),
    make_result(0.5, method="lora", task="rte", seed=2, costs=make_costs(uncounted=("aten::x",))),
    make_result(0.9, protocol=Protocol.PAPER, held_out=HeldOut(), method="full"),
]


def render(form: str, results: list[RunResult]) -> str:
    return FORMATS[form](build(results))


def on_terminal(results: list[RunResult], *, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(TerminalDocument(scores_document(build(results))))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def markdown_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_markdown_by_eye() -> None:
    rows = markdown_rows(render("md", RESULTS))

    assert rows[0] == [
        *("method", "rank", "average", "mrpc", "rte", "trainable"),
        *("GMACs", "latency", "train MiB", "infer MiB", "status"),
    ]
    assert rows[2] == [
        *("full", "1", "81.5 ± 1.5", "81.5", "81.5", "0.500 % (5,000)"),
        *("2.000", "1.00×", "300", "100", "ok"),
    ]
    assert rows[3] == [
        *("lora", "—", "—", "70.0", "oom seed 1", "0.500 % (5,000)"),
        *("2.000 unverified: aten::x", "1.00× noisy", "300", "100", "1 oom"),
    ]
    assert "- lora on rte seed 1: oom: too \\| large" in render("md", RESULTS)


def test_scores_selected_on_the_reported_split_carry_a_mark() -> None:
    text = render("md", RESULTS)

    assert "## minilm · protocol paper (selected on the split that is reported) · seed 1" in text
    assert markdown_rows(text)[-1][:3] == ["full", "90.0†", "90.0†"]
    assert "- † the checkpoint was selected on the split that is reported" in text
    assert "†" not in render("md", RESULTS[:-1])


def test_a_cell_says_only_what_failed() -> None:
    cells = {
        seeds: markdown_rows(render("md", results))[2][2]
        for seeds, results in {
            "all": [make_result(status=Status.DIVERGED, seed=seed) for seed in (1, 2)],
            "one": [make_result(seed=1), make_result(status=Status.SKIPPED, seed=2)],
            "both": [
                make_result(status=Status.OOM, seed=1),
                make_result(status=Status.ERROR, seed=2),
            ],
        }.items()
    }

    assert cells == {"all": "diverged", "one": "n/a seed 2", "both": "error seed 2, oom seed 1"}


def test_a_hostile_name_stays_in_its_cell_of_markdown() -> None:
    results = [make_result(model=HOSTILE, method=HOSTILE, task=HOSTILE), make_result(method="full")]
    results += [make_result(status=Status.ERROR, reason=HOSTILE, model=HOSTILE)]

    text = render("md", results)

    assert "<" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert text.count("\n## ") + text.startswith("## ") == 2
    assert {len(row) for row in markdown_rows(text)} == {4, 5}
    assert not re.search(r"(?<!\\)\[l", text)


@given(st.text())
def test_any_name_keeps_the_shape_of_the_markdown_table(name: str) -> None:
    rows = markdown_rows(render("md", [make_result(method=name), make_result(method="full")]))

    assert [len(row) for row in rows] == [4] * 4


@given(st.text())
def test_clean_text_is_one_line_that_steers_nothing(text: str) -> None:
    assert clean(text).isprintable()
    assert clean(clean(text)) == clean(text)


def test_ordinary_names_stay_readable_in_markdown() -> None:
    assert escape("ada_deft-0.5 é") == "ada_deft-0.5 é"
    assert escape("_a_ *b*") == r"\_a\_ \*b\*"


def test_a_hostile_name_stays_in_its_field_of_csv() -> None:
    results = [make_result(0.5, method=HOSTILE), make_result(0.4, method="=1+1", task="@sum")]

    lines = list(csv.DictReader(io.StringIO(render("csv", results))))

    visible = HOSTILE.replace("\x1b", " ").replace("\u202e", " ")
    assert [line["method"] for line in lines] == ["'=1+1", visible]
    assert "score:@sum" in lines[0]


def test_csv_holds_raw_numbers_and_leaves_missing_ones_empty() -> None:
    full, lora, paper = csv.DictReader(io.StringIO(render("csv", RESULTS)))

    assert float(full["average"]) == pytest.approx(0.815)
    assert full["macs"] == "2000000000"
    assert (lora["average"], lora["score:rte"], lora["score:mrpc"]) == ("", "", "0.7")
    assert lora["failures"] == "rte seed 1: oom: too | large"
    assert (paper["selected_on_reported_split"], paper["score:rte"]) == ("True", "")


def test_json_holds_every_seed_and_setting() -> None:
    last, paper = json.loads(render("json", RESULTS))["groups"]
    lora = last["rows"][1]

    assert lora["average"] is None
    assert lora["scores"]["rte"] == {
        "mean": None,
        "spread": None,
        "constant": [],
        "confidence_interval": None,
        "seeds": {"2": 0.5},
        "failures": [{"seed": 1, "kind": "oom", "reason": "too | large"}],
    }
    assert lora["method"]["name"] == "lora"
    assert lora["costs"]["unverified"] == ["aten::x"]
    assert paper["selected_on_reported_split"] is True


def test_a_terminal_shows_one_table_where_it_fits() -> None:
    wide = on_terminal(RESULTS[:4], width=160)

    assert wide.count("method") == 1
    assert "81.5 ± 1.5" in wide


@pytest.mark.parametrize("width", [40, 80])
def test_a_narrow_terminal_shows_every_number_whole(width: int) -> None:
    many = [
        make_result(0.123 + n / 10, method=method, task=f"task-{n}", costs=make_costs())
        for n in range(8)
        for method in ("full", "a-method-with-a-name")
    ]

    text = on_terminal(many, width=width)

    assert max(map(len, text.splitlines())) <= width
    for shown in ("12.3", "82.3", "0.500 % (5,000)", "1.00×", "a-method-with-a-name", "ok"):
        assert text.count(shown) >= 2


def test_a_hostile_name_does_not_steer_the_terminal() -> None:
    text = on_terminal([make_result(method=HOSTILE + "[red]x[/nothing]")], width=200)

    assert "\x1b" not in text
    assert "[red]x[/nothing]" in text


@settings(max_examples=20, deadline=None)
@given(st.randoms())
def test_the_order_of_results_changes_no_byte(generator: random.Random) -> None:
    results = [*RESULTS, make_result(0.8, settings={"r": 1}), make_result(0.8, settings={"r": 2})]
    expected = [render(form, results) for form in FORMATS]
    generator.shuffle(results)

    assert [render(form, results) for form in FORMATS] == expected


def test_results_that_could_not_be_read_are_told_in_every_format_for_people() -> None:
    table = build([make_result()], unreadable=["b/result.json: torn", "a|b: torn"])
    console = Console(width=80, file=io.StringIO())
    console.print(TerminalDocument(scores_document(table)))
    assert isinstance(console.file, io.StringIO)

    headline = "2 results could not be read and are not in the averages"
    assert FORMATS["md"](table).startswith(
        f"> {headline}  \n> a\\|b: torn  \n> b/result.json: torn"
    )
    assert console.file.getvalue().startswith(headline)
    assert json.loads(FORMATS["json"](table))["unreadable"] == ["a|b: torn", "b/result.json: torn"]


def test_no_results_make_an_empty_table() -> None:
    assert json.loads(render("json", [])) == {"groups": [], "unreadable": []}
    assert render("csv", []) == ""
    assert "Scores" in render("md", [])
    assert "Scores" in on_terminal([], width=80)


@pytest.mark.parametrize(
    ("score", "shown"), [(0.8534, "85.3"), (1.0, "100.0"), (-0.0001, "0.0"), (-0.05, "-5.0")]
)
def test_scores_are_shown_times_a_hundred(score: float, shown: str) -> None:
    assert percent(score) == shown


@pytest.mark.parametrize(
    ("trainable", "shown"),
    [(0, "0 % (0)"), (123, "0.0123 % (123)"), (1_000_000, "100 % (1,000,000)"), (None, "—")],
)
def test_shares_are_shown_with_three_digits(trainable: int | None, shown: str) -> None:
    results = [
        make_result(costs=make_costs(trainable=trainable)),
        make_result(0.1, method="full", costs=make_costs()),
    ]

    assert markdown_rows(render("md", results))[2][3] == shown


def test_a_column_is_there_where_any_row_knows_its_figure() -> None:
    known = make_result(costs=make_costs(trainable=None))
    first, *_ = markdown_rows(render("md", [known, make_result(method="full")]))

    assert first == [
        *("method", "average", "mrpc", "GMACs", "latency", "train MiB", "infer MiB", "status")
    ]


def test_the_legend_tells_of_the_columns_that_are_there() -> None:
    plain = render("md", [make_result(0.5)]).splitlines()[-1]
    ranked = render(
        "md", [make_result(0.5, seed=seed, costs=make_costs()) for seed in (1, 2)]
    ).splitlines()[-1]

    assert plain == (
        "_Scores are ×100, ± half of the 95 % confidence interval over seeds and examples._"
    )
    assert "rank: 1 + number" in ranked
    assert "GMACs: 1e9 multiply-adds" in ranked
    assert "density" not in ranked
    assert ranked.endswith("Costs are medians over the runs._")


def test_the_budget_is_shown_where_it_differs_on_a_task() -> None:
    def run(task: str, method: str, steps: int) -> RunResult:
        record = TrainingRecord(steps=steps, seconds=1.0, examples_per_second=1.0, loss=())
        result = make_result(0.5, task=task, method=method, budget=f"{steps} steps")
        return result.model_copy(update={"training": record})

    unequal_tasks = [run("rte", "full", 2), run("mrpc", "full", 3), run("rte", "lora", 2)]
    unequal_runs = [*unequal_tasks, run("mrpc", "lora", 9)]
    assert not build(unequal_tasks).groups[0].unequal_budgets
    assert " steps |" not in render("md", unequal_tasks)
    assert " steps |" in render("md", unequal_runs)


def test_rows_that_are_significantly_better_are_named() -> None:
    scores = {"full": 0.9, "lora": 0.9, "head": 0.4}
    results = [
        make_result(score + seed / 1e4, method=method, seed=seed)
        for method, score in scores.items()
        for seed in (1, 2, 3)
    ]

    assert (
        "- significant differences: full, lora better than head"
        in render("md", results).splitlines()
    )
    rows = json.loads(render("json", results))["groups"][0]["rows"]
    assert {row["name"]: row["standing"]["worse_than"] for row in rows} == {
        "full": [],
        "lora": [],
        "head": ["full", "lora"],
    }


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＠"])  # noqa: RUF001
def test_no_text_is_a_formula_in_a_spreadsheet(start: str) -> None:
    assert str(inert(f"{start}1+1")).startswith("'")
    assert inert(-0.5) == -0.5


@given(st.text())
def test_no_name_steers_a_terminal_or_breaks_a_format(name: str) -> None:
    board = build([make_result(method=name), make_result(status=Status.ERROR, reason=name)])

    for render_as in FORMATS.values():
        text = render_as(board)
        assert all(prints(char) or char == "\n" for char in text)
        assert text.encode("ascii", errors="replace")


def test_numbers_that_are_not_finite_are_null_in_json() -> None:
    content = {"a": [float("nan"), 1.0], "b": {"c": float("-inf")}}
    document = TextDocument((), "", content=content)

    assert json.loads(to_json(document)) == {"a": [None, 1.0], "b": {"c": None}}
