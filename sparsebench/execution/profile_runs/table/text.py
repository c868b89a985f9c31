"""A table of costs as people read it: sections of what may be compared, each of two tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparsebench.execution.profile_runs.table.cells import (
    NOTHING,
    cell,
    count,
    giga,
    interval,
    mib,
    percent,
    ratio,
    significant,
    times_over,
    verified,
)
from sparsebench.execution.profile_runs.table.notes import label, notes
from sparsebench.leaderboard.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sparsebench.results.costs import Costs, RuntimeCost
    from sparsebench.results.profiles import BreakEvens, ProfileResult

LEGEND = (
    "GMACs: 10⁹ multiply-adds in matrix products of one sequence, each counted as one; non-zero: "
    "without weights that are zero; effective: without activations that are zero besides, in the "
    "second product of each feed-forward network. latency: time over that of the untouched "
    "backbone, in the same rounds, with its 95 % interval. promised: how many times fewer "
    "multiply-adds; realised: measured over promised speed-up. MiB: of weights on disk, dense, "
    "without zeros, and for one task beside a shared backbone; peak memory of inference."
)
"""What the columns mean."""


@dataclass(frozen=True)
class Grid:
    """One table: headings, rows, and how many columns at the left are names.

    Attributes:
        headings: What stands above the columns.
        rows: The cells, row by row.
        names: Columns that are names and not numbers, from the left.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1


@dataclass(frozen=True)
class Section:
    """What may be compared: one backbone, on one device.

    Attributes:
        heading: What stands above it.
        grids: What is stored and computed, what it takes, and where runtimes begin to gain.
        notes: What must be known to read them.
    """

    heading: str
    grids: tuple[Grid, ...]
    notes: tuple[str, ...]


def sections(
    results: Iterable[ProfileResult], break_evens: Iterable[BreakEvens] = ()
) -> list[Section]:
    """Sorts rows into sections, in the order that they come."""
    groups: dict[str, list[ProfileResult]] = {}
    for result in results:
        groups.setdefault(_heading(result), []).append(result)
    evens = list(break_evens)
    return [_section(heading, group, evens) for heading, group in groups.items()]


def _heading(result: ProfileResult) -> str:
    spec = result.spec
    kind = "" if spec.trained else " · untrained"
    device = spec.hardware if spec.device == "auto" else f"{spec.device} {spec.hardware}"
    device = device.removesuffix("s") if device.endswith(", 1 threads") else device
    return clean(
        f"{spec.model} · {spec.form}{kind} · {device} · {spec.dtype} · {spec.attention} · "
        f"length {spec.length}"
    )


def _section(
    heading: str, group: Sequence[ProfileResult], break_evens: Sequence[BreakEvens]
) -> Section:
    first = group[0].spec
    grids = [_models(group), _times(group)]
    grids += [_writing(group)]
    grids += [
        _break_even(found)
        for found in break_evens
        if (found.model, found.dtype, found.length) == (first.model, first.dtype, first.length)
    ]
    return Section(heading, tuple(grid for grid in grids if grid.rows), tuple(notes(group)))


def _models(group: Sequence[ProfileResult]) -> Grid:
    """What does not depend on the batch: a row a method."""
    headings = (
        "method",
        "trainable",
        "parameters",
        "non-zero",
        "sparsity, blocks",
        "all",
        "GMACs",
        "non-zero",
        "effective",
        "element-wise",
        "dense MiB",
        "sparse",
        "a task",
        "density",
    )
    rows: dict[str, tuple[str, ...]] = {}
    for result in group:
        if result.costs is not None and label(result) not in rows:
            rows[label(result)] = (label(result), *_model_cells(result.costs))
    return Grid(headings, tuple(rows.values()))


def _model_cells(costs: Costs) -> list[str]:
    counts, flops, storage, density = costs.parameters, costs.flops, costs.storage, costs.density
    return [
        cell(counts, lambda c: count(c.trainable)),
        cell(counts, lambda c: count(c.total)),
        cell(counts, lambda c: count(c.nonzero)),
        cell(counts, lambda c: percent(c.encoder_sparsity)),
        cell(counts, lambda c: percent(c.sparsity)),
        cell(flops, verified),
        cell(flops, lambda f: giga(f.matrix_nonzero)),
        cell(flops, lambda f: giga(f.matrix_effective)),
        cell(flops, lambda f: giga(f.elementwise)),
        cell(storage, lambda s: mib(s.dense)),
        cell(storage, lambda s: mib(s.sparse)),
        cell(storage, lambda s: mib(s.per_task)),
        cell(density, lambda d: percent(d.density)),
    ]


def _times(group: Sequence[ProfileResult]) -> Grid:
    """What depends on the batch and the runtime: a row each."""
    headings = (
        "method",
        "runtime",
        "batch",
        "latency",
        "95 %",
        "promised",
        "realised",
        "ms",
        "infer MiB",
        "train MiB",
        "J",
    )
    rows: list[tuple[str, ...]] = []
    for result in group:
        if result.costs is None:
            batch = str(result.spec.batch_size)
            rows.append((label(result), result.status.value, batch, *[NOTHING] * 8))
            continue
        rows += [
            (label(result), *_time_cells(result, result.costs, cost))
            for cost in result.costs.runtimes
            if cost.latency is not None
        ]
    return Grid(headings, tuple(rows), names=2)


def _time_cells(result: ProfileResult, costs: Costs, cost: RuntimeCost) -> list[str]:
    memory, as_it_is = costs.memory, cost.name == "dense"
    unequal = "" if cost.equal else " answers differ"
    joules = costs.energy if as_it_is else None
    return [
        cost.name + unequal,
        str(result.spec.batch_size),
        ratio(cost.latency),
        interval(cost.latency),
        times_over(cost.theoretical),
        NOTHING if cost.efficiency is None else f"{cost.efficiency:.2f}",
        NOTHING if cost.latency is None else significant(1000 * cost.latency.median),
        mib(memory.inference) if memory and as_it_is else NOTHING,
        mib(memory.training.bytes) if memory and memory.training and as_it_is else NOTHING,
        NOTHING if joules is None else significant(joules.joules),
    ]


def _writing(group: Sequence[ProfileResult]) -> Grid:
    """Generation: a row a method, a batch and a runtime."""
    headings = ("method", "batch", "prompt", "tokens", "GMACs", "of prefill", "prefill", "a token")
    rows = []
    for result in group:
        made = result.costs.generation if result.costs else None
        if made is not None:
            doubt = f" unverified: {', '.join(made.uncounted)}" if made.uncounted else ""
            rows.append(
                (
                    label(result),
                    str(result.spec.batch_size),
                    str(made.prompt),
                    str(made.tokens),
                    giga(made.matrix) + doubt,
                    giga(made.prefill),
                    f"{ratio(made.prefill_latency)} {interval(made.prefill_latency)}",
                    f"{ratio(made.token_latency)} {interval(made.token_latency)}",
                )
            )
    return Grid(headings, tuple(rows))


def _break_even(found: BreakEvens) -> Grid:
    """Where runtimes begin to gain: a row each runtime and shape."""
    headings = ("runtime", "matrix", "tokens", "zero or gone", "gains from", "measured")
    rows = []
    for even in found.found:
        measured = ", ".join(f"{share:.0%}: {time:.2f}×" for share, time in even.ratios.items())
        gains = "never" if even.sparsity is None else f"{even.sparsity:.0%}"
        shape = f"{even.rows} × {even.columns}"
        rows.append((even.runtime, shape, str(even.tokens), even.what, gains, measured))
    return Grid(headings, tuple(rows), names=2)
