"""The table shows doubts and reasons, and the formats lose nothing."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from factories import SHAPES, make_costs
from rich.console import Console

from sparsebench.leaderboard import RENDERERS, TerminalDocument, costs_document
from sparsebench.leaderboard.text import prints
from sparsebench.results.costs import BreakEven, Latency, RuntimeCost
from sparsebench.results.profiles import BreakEvens, ProfileResult, ProfileSpec, profile_key
from sparsebench.results.records import Status
from sparsebench.schema.spec import MethodChoice

if TYPE_CHECKING:
    from collections.abc import Sequence


def times(ratio: float) -> Latency:
    return Latency(
        samples=(ratio,) * 6,
        reference_samples=(1.0,) * 6,
        blocks=(1,) * 6,
        interval=(ratio - 0.01, ratio + 0.01),
        clock="monotonic",
        threads=1,
        shapes=SHAPES,
    )


def row(
    label: str = "magnitude",
    *,
    status: Status = Status.OK,
    reason: str | None = None,
    runtimes: tuple[RuntimeCost, ...] | None = None,
    **costs: Any,
) -> ProfileResult:
    spec = ProfileSpec(
        model="random:bert-base",
        model_fingerprint="f",
        method=MethodChoice(label=label, name="magnitude", version="1", settings={}),
        trained=False,
        form="classification",
        device="cpu",
        hardware="A processor, 1 threads",
        dtype="float32",
        attention="sdpa",
        batch_size=8,
        length=128,
        target_length=8,
    )
    if runtimes is None:
        runtimes = (
            RuntimeCost(
                name="dense", latency=times(1.0), theoretical=4.0, difference=0.0, tolerance=1e-4
            ),
            RuntimeCost(name="2:4", reason="it needs a CUDA device"),
        )
    made = make_costs(runtimes=runtimes, **costs) if status is Status.OK else None
    return ProfileResult(key=profile_key(spec), spec=spec, status=status, reason=reason, costs=made)


def render(form: str, rows: list[ProfileResult], break_evens: Sequence[BreakEvens] = ()) -> str:
    return RENDERERS[form](costs_document(rows, break_evens))


def test_an_uncounted_operator_is_named() -> None:
    text = render("md", [row(uncounted=("aten::linear",))])
    assert "2.0000 unverified: aten::linear" in text
    assert "unverified" not in render("md", [row()])


def test_a_count_that_disagrees_says_by_how_much() -> None:
    text = render("md", [row(gmacs=2.0, closed_form=2.1)])
    assert "unverified: 4.8% away from the closed form" in text


def test_a_mask_on_a_dense_kernel_never_looks_fast() -> None:
    (line,) = [line for line in render("md", [row()]).splitlines() if "| dense" in line]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[3:8] == ["1.000×", "0.990 to 1.010", "4.00×", "1.00×", "0.25"]


def test_outputs_that_differ_are_marked() -> None:
    wrong = RuntimeCost(
        name="csr", latency=times(0.5), theoretical=4.0, difference=0.1, tolerance=1e-4
    )
    assert "csr outputs differ" in render("md", [row(runtimes=(wrong,))])


@pytest.mark.parametrize("form", ["md", "csv", "json"])
def test_a_row_that_failed_keeps_its_reason(form: str) -> None:
    rows = [row(), row("full", status=Status.OOM, reason="a batch of 8 does not fit")]
    text = render(form, rows)
    assert "a batch of 8 does not fit" in text
    assert "it needs a CUDA device" in text
    assert "oom" in text


def test_csv_has_a_line_for_each_row_and_runtime() -> None:
    lines = list(csv.DictReader(io.StringIO(render("csv", [row(), row("full")]))))
    assert [(line["method"], line["runtime"]) for line in lines] == [
        ("magnitude", "dense"),
        ("magnitude", "2:4"),
        ("full", "dense"),
        ("full", "2:4"),
    ]
    assert float(lines[0]["efficiency"]) == pytest.approx(0.25)
    assert lines[1]["efficiency"] == ""


def test_json_keeps_every_sample() -> None:
    made = row()
    content = json.loads(render("json", [made]))
    assert ProfileResult.model_validate(content["rows"][0]) == made


def test_break_even_says_where_a_runtime_never_gains() -> None:
    made = row()
    assert made.costs is not None
    found = BreakEvens(
        model=made.spec.model,
        device=made.costs.device,
        dtype="float32",
        batch_size=8,
        length=128,
        found=tuple(
            BreakEven(
                runtime="csr",
                rows=768,
                columns=size,
                tokens=1024,
                what="weights",
                ratios={0.5: 3.0, 0.9: 0.8},
                sparsity=sparsity,
            )
            for size, sparsity in ((768, 0.88), (3072, None))
        ),
    )
    text = render("md", [made], [found])
    assert "| 88% | 50%: 3.00×, 90%: 0.80× |" in " ".join(text.split())
    assert "| never |" in " ".join(text.split())


def test_a_terminal_shows_the_same() -> None:
    console = Console(width=240, record=True, file=io.StringIO())
    console.print(TerminalDocument(costs_document([row(uncounted=("aten::mm",))])))
    text = console.export_text()
    assert "unverified: aten::mm" in text
    assert "it needs a CUDA device" in text


HOSTILE = "x|y<script>alert(1)</script>\n## h\x1b[2J`c`\u202e"


@pytest.mark.parametrize("form", ["md", "csv", "json", "tex"])
def test_a_hostile_record_steers_nothing(form: str) -> None:
    runtime = RuntimeCost(name=HOSTILE, latency=times(1.0), theoretical=4.0)
    missing = {"energy": HOSTILE}
    hostile = row(HOSTILE, runtimes=(runtime,), uncounted=(HOSTILE,), missing=missing)

    text = render(form, [hostile, row("=1+1")])

    assert all(prints(char) or char == "\n" for char in text)
    if form == "md":
        assert "<" not in text
        assert text.startswith("## ")
        assert "\n## h" not in text
    if form == "csv":
        assert {line["method"] for line in csv.DictReader(io.StringIO(text))} >= {"'=1+1"}


def test_a_hostile_record_does_not_steer_the_terminal() -> None:
    console = Console(width=80, file=io.StringIO(), force_terminal=False)
    console.print(TerminalDocument(costs_document([row(HOSTILE, uncounted=(HOSTILE,))])))

    assert isinstance(console.file, io.StringIO)
    assert "\x1b" not in console.file.getvalue()
