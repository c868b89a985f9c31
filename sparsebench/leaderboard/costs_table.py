"""The rows of ``sparsebench profile`` as a document: one section per backbone and device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from sparsebench.leaderboard.costs_records import content, records
from sparsebench.leaderboard.render.document import (
    ColumnKind,
    TextColumn,
    TextDocument,
    TextSection,
    TextTable,
)
from sparsebench.leaderboard.text import MIB, NOTHING, clean, count, share, significant
from sparsebench.results.costs import FlopStatus
from sparsebench.results.records import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sparsebench.results.costs import BreakEven, Costs, Flops, Generation, Latency, RuntimeCost
    from sparsebench.results.profiles import BreakEvens, ProfileResult

P = TypeVar("P")
T = TypeVar("T")

LEGEND = (
    "GMACs: 1e9 multiply-adds in matrix products per sequence; non-zero: without zero weights; "
    "effective: also without zero activations in the second product of each FFN. latency: relative "
    "to the untouched backbone in the same rounds. efficiency: measured over theoretical speed-up. "
    "MiB: of stored weights, per task beside a shared backbone; infer and train: peak memory."
)

NOTE_LIMIT = 2000
"""The most characters of a note: it may name every method."""


def costs_document(
    results: Sequence[ProfileResult], break_evens: Sequence[BreakEvens] = ()
) -> TextDocument:
    """Return the cost tables.

    Args:
        results: The rows; sections keep their order.
        break_evens: The break-even sparsity of runtimes, shown in the section of their backbone.
    """
    groups: dict[str, list[ProfileResult]] = {}
    for result in results:
        groups.setdefault(_heading(result), []).append(result)
    return TextDocument(
        sections=tuple(_section(title, rows, break_evens) for title, rows in groups.items()),
        legend=LEGEND,
        records=tuple(records(results)),
        content=content(results, break_evens),
    )


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
    heading: str, rows: Sequence[ProfileResult], break_evens: Sequence[BreakEvens]
) -> TextSection:
    first = rows[0].spec
    tables = [
        _table(_models(rows), MODEL_COLUMNS),
        _table(list(_timings(rows)), TIMING_COLUMNS, names=2),
        _table(list(_generations(rows)), GENERATION_COLUMNS),
        *(
            _table(each.found, BREAK_EVEN_COLUMNS, names=2)
            for each in break_evens
            if (each.model, each.dtype, each.length) == (first.model, first.dtype, first.length)
        ),
    ]
    shown = tuple(table for table in tables if table.rows)
    return TextSection(heading, shown, tuple(_notes(rows)))


def _table(
    rows: Sequence[T], columns: Sequence[tuple[str, Callable[[T], str]]], *, names: int = 1
) -> TextTable:
    """Return a table of rows; the first ``names`` columns name them."""
    return TextTable(
        tuple(
            TextColumn(
                heading,
                ColumnKind.NAME if place < names else ColumnKind.COST,
                tuple(clean(text(row)) for row in rows),
                is_number=place >= names,
            )
            for place, (heading, text) in enumerate(columns)
        )
    )


def _label(result: ProfileResult) -> str:
    return clean(result.spec.method.label if result.spec.method else "deployed")


@dataclass(frozen=True)
class _Model:
    """A deployed model: the costs that do not depend on batch and runtime."""

    label: str
    costs: Costs


def _models(rows: Sequence[ProfileResult]) -> list[_Model]:
    models: dict[str, _Model] = {}
    for row in rows:
        if row.costs is not None:
            models.setdefault(_label(row), _Model(_label(row), row.costs))
    return list(models.values())


@dataclass(frozen=True)
class _Timing:
    """A deployed model under a batch size and a runtime; without a runtime, a row that failed."""

    row: ProfileResult
    runtime: RuntimeCost | None = None

    @property
    def latency(self) -> Latency | None:
        return self.runtime.latency if self.runtime else None

    @property
    def dense_costs(self) -> Costs | None:
        """The costs that were measured under the dense runtime only."""
        is_dense = self.runtime is not None and self.runtime.name == "dense"
        return self.row.costs if is_dense else None


def _timings(rows: Sequence[ProfileResult]) -> Iterator[_Timing]:
    for row in rows:
        if row.costs is None:
            yield _Timing(row)
        else:
            yield from (_Timing(row, each) for each in row.costs.runtimes if each.latency)


@dataclass(frozen=True)
class _Writing:
    """A deployed model that generates."""

    row: ProfileResult
    costs: Generation


def _generations(rows: Sequence[ProfileResult]) -> Iterator[_Writing]:
    for row in rows:
        if row.costs and row.costs.generation:
            yield _Writing(row, row.costs.generation)


def _part(value: P | None, text: Callable[[P], str]) -> str:
    """Return the text of a part of the costs; the sign for nothing where it is missing."""
    return NOTHING if value is None else text(value)


def _giga(value: int | None) -> str:
    return _part(value, lambda number: f"{number / 1e9:.4f}")


def _mib(value: int | None) -> str:
    return _part(value, lambda number: significant(number / MIB, digits=3))


def _gmacs(flops: Flops) -> str:
    """Return the multiply-adds, with the reason if they are in doubt."""
    amount = _giga(flops.matrix)
    if flops.status is FlopStatus.VERIFIED:
        return amount
    return f"{amount} unverified: {', '.join(flops.uncounted) or flops.reason}"


def _ratio(latency: Latency | None) -> str:
    ratio = latency.ratio if latency else None
    return _part(ratio, lambda known: f"{known:.3f}×")


def _interval(latency: Latency | None) -> str:
    ends = latency.interval if latency else None
    return _part(ends, lambda known: f"{known[0]:.3f} to {known[1]:.3f}")


def _speedup(value: float | None) -> str:
    return _part(value, lambda factor: f"{factor:.2f}×")


def _runtime(timing: _Timing) -> str:
    if timing.runtime is None:
        return timing.row.status.value
    return timing.runtime.name + ("" if timing.runtime.equal else " outputs differ")


def _generation_gmacs(writing: _Writing) -> str:
    uncounted = writing.costs.uncounted
    doubt = f" unverified: {', '.join(uncounted)}" if uncounted else ""
    return _giga(writing.costs.matrix) + doubt


def _training_mib(timing: _Timing) -> str:
    memory = timing.dense_costs.memory if timing.dense_costs else None
    return _mib(memory.training.bytes) if memory and memory.training else NOTHING


def _inference_mib(timing: _Timing) -> str:
    memory = timing.dense_costs.memory if timing.dense_costs else None
    return _mib(memory.inference) if memory else NOTHING


def _joules(timing: _Timing) -> str:
    energy = timing.dense_costs.energy if timing.dense_costs else None
    return significant(energy.joules, digits=3) if energy else NOTHING


def _efficiency(timing: _Timing) -> str:
    efficiency = timing.runtime.efficiency if timing.runtime else None
    return _part(efficiency, lambda known: f"{known:.2f}")


MODEL_COLUMNS: tuple[tuple[str, Callable[[_Model], str]], ...] = (
    ("method", lambda m: m.label),
    ("trainable", lambda m: _part(m.costs.parameters, lambda p: count(p.trainable))),
    ("parameters", lambda m: _part(m.costs.parameters, lambda p: count(p.total))),
    ("non-zero", lambda m: _part(m.costs.parameters, lambda p: count(p.nonzero))),
    ("sparsity, blocks", lambda m: _part(m.costs.parameters, lambda p: share(p.encoder_sparsity))),
    ("sparsity, all", lambda m: _part(m.costs.parameters, lambda p: share(p.sparsity))),
    ("GMACs", lambda m: _part(m.costs.flops, _gmacs)),
    ("GMACs, non-zero", lambda m: _part(m.costs.flops, lambda f: _giga(f.matrix_nonzero))),
    ("GMACs, effective", lambda m: _part(m.costs.flops, lambda f: _giga(f.matrix_effective))),
    ("element-wise", lambda m: _part(m.costs.flops, lambda f: _giga(f.elementwise))),
    ("MiB, dense", lambda m: _part(m.costs.storage, lambda s: _mib(s.dense))),
    ("MiB, sparse", lambda m: _part(m.costs.storage, lambda s: _mib(s.sparse))),
    ("MiB per task", lambda m: _part(m.costs.storage, lambda s: _mib(s.per_task))),
    ("act. density", lambda m: _part(m.costs.density, lambda d: share(d.density))),
)

TIMING_COLUMNS: tuple[tuple[str, Callable[[_Timing], str]], ...] = (
    ("method", lambda t: _label(t.row)),
    ("runtime", _runtime),
    ("batch", lambda t: str(t.row.spec.batch_size)),
    ("latency", lambda t: _ratio(t.latency)),
    ("95 % interval", lambda t: _interval(t.latency)),
    ("theoretical speed-up", lambda t: _part(t.runtime, lambda r: _speedup(r.theoretical))),
    ("measured speed-up", lambda t: _part(t.runtime, lambda r: _speedup(r.speedup))),
    ("efficiency", _efficiency),
    ("ms", lambda t: _part(t.latency, lambda found: significant(1000 * found.median, digits=3))),
    ("infer MiB", _inference_mib),
    ("train MiB", _training_mib),
    ("J", _joules),
)

GENERATION_COLUMNS: tuple[tuple[str, Callable[[_Writing], str]], ...] = (
    ("method", lambda w: _label(w.row)),
    ("batch", lambda w: str(w.row.spec.batch_size)),
    ("prompt", lambda w: str(w.costs.prompt)),
    ("tokens", lambda w: str(w.costs.tokens)),
    ("GMACs", _generation_gmacs),
    ("GMACs, prefill", lambda w: _giga(w.costs.prefill)),
    (
        "latency, prefill",
        lambda w: f"{_ratio(w.costs.prefill_latency)} {_interval(w.costs.prefill_latency)}",
    ),
    (
        "latency per token",
        lambda w: f"{_ratio(w.costs.token_latency)} {_interval(w.costs.token_latency)}",
    ),
)

BREAK_EVEN_COLUMNS: tuple[tuple[str, Callable[[BreakEven], str]], ...] = (
    ("runtime", lambda b: b.runtime),
    ("matrix", lambda b: f"{b.rows} × {b.columns}"),
    ("tokens", lambda b: str(b.tokens)),
    ("zero or removed", lambda b: b.what),
    ("faster from", lambda b: "never" if b.sparsity is None else f"{b.sparsity:.0%}"),
    (
        "latency over dense",
        lambda b: ", ".join(f"{part:.0%}: {ratio:.2f}×" for part, ratio in b.ratios.items()),
    ),
)


def _notes(rows: Sequence[ProfileResult]) -> Iterator[str]:
    """Yield the notes of a section, each once, with the rows that it concerns."""
    if any(not row.spec.trained for row in rows):
        yield "untrained weights: masks and removals are as at the end of a run"
    data = sorted({row.costs.density.data for row in rows if row.costs and row.costs.density})
    if data:
        yield f"activation densities are measured on {' and '.join(data)}"
    for note in dict.fromkeys(note for row in rows for note in row.notes):
        yield clean(note)
    rows_with: dict[str, dict[str, None]] = {}
    for row in rows:
        for reason, name in _reasons(row):
            rows_with.setdefault(reason, {})[name] = None
    for reason, names in rows_with.items():
        yield clean(f"{', '.join(names)}: {reason}", limit=NOTE_LIMIT)


def _reasons(row: ProfileResult) -> Iterator[tuple[str, str]]:
    """Yield the reason of each gap or doubt in a row, with the name of the row."""
    name = _label(row)
    if row.status is not Status.OK:
        yield str(row.reason), f"{name}, batch {row.spec.batch_size}: {row.status}"
    if row.costs is None:
        return
    for part, reason in row.costs.missing.items():
        yield f"no {part}: {reason}", name
    for cost in row.costs.runtimes:
        if cost.reason is not None:
            yield f"not under {cost.name}: {cost.reason}", name
    for other in row.costs.device.others:
        yield f"the device was shared with {other}", name
    if row.costs.latency and row.costs.latency.noisy:
        yield "noisy: single times scatter by over 10 %", f"{name}, batch {row.spec.batch_size}"
