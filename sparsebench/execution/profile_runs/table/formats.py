"""The formats of a table of costs."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table as RichTable
from rich.text import Text
from tabulate import tabulate

from sparsebench.execution.profile_runs.table.text import LEGEND, sections
from sparsebench.leaderboard.delimited import inert
from sparsebench.leaderboard.markdown import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType

    from sparsebench.execution.profile_runs.table.text import Grid, Section
    from sparsebench.results.costs import RuntimeCost
    from sparsebench.results.profiles import BreakEvens, ProfileResult


class TerminalCosts:
    """A table of costs that a rich console can print.

    Args:
        results: The rows.
        break_evens: Where runtimes begin to gain.
    """

    def __init__(
        self, results: Sequence[ProfileResult], break_evens: Sequence[BreakEvens] = ()
    ) -> None:
        self._sections = sections(results, break_evens)

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        """Yields each section, then what the columns mean."""
        for section in self._sections:
            yield Text(section.heading, style="bold")
            yield from map(_rich_table, section.grids)
            for note in section.notes:
                yield Text(f"• {note}", style="yellow")
            yield Text()
        yield Text(LEGEND, style="dim")


def _rich_table(grid: Grid) -> RichTable:
    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, heading in enumerate(grid.headings):
        table.add_column(heading, justify="left" if place < grid.names else "right")
    for row in grid.rows:
        table.add_row(*map(Text, row))
    return table


def markdown(results: Sequence[ProfileResult], break_evens: Sequence[BreakEvens] = ()) -> str:
    """Returns GitHub-flavoured Markdown: a section for each backbone and device."""
    parts = [_markdown(section) for section in sections(results, break_evens)]
    return "\n\n".join([*parts, f"_{LEGEND}_"]) + "\n"


def _markdown(section: Section) -> str:
    tables = [
        tabulate(
            [[escape(cell) for cell in row] for row in grid.rows],
            headers=[escape(heading) for heading in grid.headings],
            tablefmt="pipe",
            colalign=["left" if n < grid.names else "right" for n in range(len(grid.headings))],
            disable_numparse=True,
        )
        for grid in section.grids
    ]
    notes = "\n".join(f"- {escape(note)}" for note in section.notes)
    return "\n\n".join(part for part in (f"## {escape(section.heading)}", *tables, notes) if part)


def delimited(results: Sequence[ProfileResult], break_evens: Sequence[BreakEvens] = ()) -> str:  # noqa: ARG001
    """Returns CSV: a line for each row and runtime, raw numbers, an empty field where none is."""
    lines = [line for result in results for line in _lines(result)]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({name: inert(value) for name, value in line.items()})
    return stream.getvalue()


def _lines(result: ProfileResult) -> Iterator[dict[str, Any]]:
    runtimes = result.costs.runtimes if result.costs else ()
    for cost in runtimes or (None,):
        yield {**_condition(result), **_runtime(cost), **_costs(result)}


def _condition(result: ProfileResult) -> dict[str, Any]:
    spec = result.spec
    return {
        "model": spec.model,
        "method": spec.method.label if spec.method else "deployed",
        "trained": spec.trained,
        "form": spec.form,
        "device": spec.device,
        "hardware": spec.hardware,
        "dtype": spec.dtype,
        "attention": spec.attention,
        "batch_size": spec.batch_size,
        "length": spec.length,
        "target_length": spec.target_length,
        "status": result.status.value,
        "reason": result.reason,
    }


def _runtime(cost: RuntimeCost | None) -> dict[str, Any]:
    latency = cost.latency if cost else None
    low, high = (latency.interval if latency else None) or (None, None)
    return {
        "runtime": cost and cost.name,
        "runtime_reason": cost and cost.reason,
        "latency_ratio": latency and latency.ratio,
        "latency_ratio_low": low,
        "latency_ratio_high": high,
        "seconds_median": latency and latency.median,
        "seconds_p95": latency and latency.p95,
        "seconds_iqr": latency and latency.iqr,
        "noisy": latency and latency.noisy,
        "rounds": latency and len(latency.samples),
        "promised_speedup": cost and cost.theoretical,
        "realised": cost and cost.efficiency,
        "answers_equal": cost and cost.equal,
    }


_FIELDS: dict[str, tuple[str, ...]] = {
    "parameters": (
        "trainable",
        "head",
        "total",
        "nonzero",
        "encoder_sparsity",
        "sparsity",
        "bytes_on_disk",
    ),
    "flops": (
        "matrix",
        "matrix_nonzero",
        "matrix_effective",
        "elementwise",
        "closed_form",
        "deviation",
        "status",
        "reason",
    ),
    "storage": ("dense", "sparse", "per_task", "per_task_as"),
    "density": ("density", "density_exact_padded"),
    "generation": ("prompt", "tokens", "prefill", "decode"),
    "memory": ("weights", "inference"),
    "energy": ("joules",),
}
"""Part of the costs -> what of it has a column."""


def _costs(result: ProfileResult) -> dict[str, Any]:
    line = {}
    for part, names in _FIELDS.items():
        record = getattr(result.costs, part, None)
        for name in names:
            line[f"{part}_{name}"] = getattr(record, name, None)
    missing = result.costs.missing if result.costs else {}
    line["missing"] = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
    return line


def as_json(results: Sequence[ProfileResult], break_evens: Sequence[BreakEvens] = ()) -> str:
    """Returns one JSON object with every record in full, raw samples included."""
    content = {
        "rows": [result.model_dump(mode="json") for result in results],
        "break_even": [found.model_dump(mode="json") for found in break_evens],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Sequence[ProfileResult], Sequence[BreakEvens]], str]] = {
    "md": markdown,
    "csv": delimited,
    "json": as_json,
}
"""Format -> what renders it."""
