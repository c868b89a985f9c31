"""Sort the runs of a group into rows, columns and cells."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparsebench.leaderboard.board import (
    MISSING,
    NOT_APPLICABLE,
    Average,
    Cell,
    Column,
    Failure,
    spread,
)
from sparsebench.leaderboard.build.run_terms import (
    RunTerms,
    canonical,
    canonical_terms,
    common,
    group_by,
    method_terms,
    training_terms,
)
from sparsebench.results.records import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sparsebench.results.records import RunResult


@dataclass(frozen=True)
class RowRuns:
    """The runs of one row.

    Attributes:
        name: The method's label, numbered where several rows share it.
        label: The method's label.
        terms: The method and training terms that all its runs share.
        runs: Its runs.
    """

    name: str
    label: str
    terms: RunTerms
    runs: tuple[RunResult, ...]


def rows_of(results: Sequence[RunResult]) -> list[RowRuns]:
    """Sort the runs of a group into rows.

    A row is one label with one set of settings. Its budget may differ between tasks, as a suite may
    ask for. If one task was run on several terms, each becomes a row of its own.
    """
    rows = []
    for label, labelled in group_by(results, lambda result: result.spec.method.label).items():
        variants = list(_variants(labelled))
        for number, runs in enumerate(variants, start=1):
            name = f"{label} #{number}" if len(variants) > 1 else label
            specs = [run.spec for run in runs]
            terms = common({**method_terms(spec), **training_terms(spec)} for spec in specs)
            rows.append(RowRuns(name, label, terms, tuple(runs)))
    return rows


def _variants(labelled: list[RunResult]) -> Iterator[list[RunResult]]:
    by_settings = group_by(labelled, lambda result: canonical(result.spec.method))
    for same_settings in by_settings.values():
        by_task = group_by(same_settings, lambda result: result.spec.task)
        if all(len({canonical_terms(run.spec) for run in runs}) == 1 for runs in by_task.values()):
            yield same_settings
        else:
            yield from group_by(same_settings, lambda result: canonical_terms(result.spec)).values()


def columns_of(results: Sequence[RunResult]) -> list[Column]:
    """Return the tasks of a group: one column for each version and each data set.

    The data of a skipped run is ignored: a run may have been skipped because its data is absent.
    """
    columns = []
    for task, runs in group_by(results, lambda result: result.spec.task).items():
        tried = [run for run in runs if run.status is not Status.SKIPPED] or runs[:1]
        kinds = sorted({_version_and_data(run) for run in tried})
        versions = Counter(version for version, _ in kinds)
        for version, data in kinds:
            apart = [f"version {version}"] if len(versions) > 1 else []
            apart += [f"data {data[:8]}"] if versions[version] > 1 else []
            metrics = {
                run.headline_metric for run in tried if _version_and_data(run) == (version, data)
            }
            columns.append(
                Column(
                    name=f"{task} ({', '.join(apart)})" if apart else task,
                    task=task,
                    version=version,
                    data_fingerprint=data,
                    metrics=tuple(sorted(metric for metric in metrics if metric)),
                )
            )
    return columns


def belongs(run: RunResult, column: Column) -> bool:
    """Return whether a run is of a column; a skipped run is of every column of its task."""
    if run.spec.task != column.task:
        return False
    same = _version_and_data(run) == (column.version, column.data_fingerprint)
    return same or run.status is Status.SKIPPED


def _version_and_data(run: RunResult) -> tuple[str, str]:
    return run.spec.task_version, run.spec.data_fingerprint


def chosen_runs(
    runs: Sequence[RunResult], *, column: Column, seeds: Sequence[int]
) -> dict[int, RunResult | None]:
    """Return the run that counts for every seed, or None where there is none.

    Args:
        runs: The runs of a row.
        column: The task.
        seeds: The expected seeds.
    """
    by_seed: dict[int, list[RunResult]] = {}
    for run in runs:
        if belongs(run, column):
            by_seed.setdefault(run.spec.seed, []).append(run)
    return {seed: _preferred(by_seed[seed]) if seed in by_seed else None for seed in seeds}


def _preferred(runs: Sequence[RunResult]) -> RunResult:
    """Return the one of several results of a run that counts: not skipped, then the newest."""

    def rank(run: RunResult) -> tuple[bool, str, str]:
        created = run.provenance.created if run.provenance else ""
        return run.status is not Status.SKIPPED, created, run.model_dump_json()

    return runs[0] if len(runs) == 1 else max(runs, key=rank)


def cell_of(chosen: Mapping[int, RunResult | None]) -> Cell:
    """Return the scores and failures of a row on one task.

    Args:
        chosen: Seed -> the run that counts.
    """
    failures = {seed: _failure(seed, run) for seed, run in chosen.items()}
    return Cell(
        scores={
            seed: run.score
            for seed, run in chosen.items()
            if run and run.score is not None and failures[seed] is None
        },
        failures=tuple(failure for failure in failures.values() if failure),
    )


def _failure(seed: int, run: RunResult | None) -> Failure | None:
    if run is None:
        return Failure(seed, MISSING, "there is no result")
    if run.status is Status.SKIPPED:
        return Failure(seed, NOT_APPLICABLE, run.reason or "skipped, and no reason was recorded")
    if run.status is not Status.OK:
        return Failure(seed, run.status.value, run.reason or "no reason was recorded")
    if run.score is None or not math.isfinite(run.score):
        return Failure(seed, "no score", f"the score is {run.score}")
    return None


def average_of(cells: Sequence[Cell], *, seeds: Sequence[int]) -> Average | None:
    """Return the mean over tasks and seeds, or None where any run has no score."""
    if any(cell.failures for cell in cells):
        return None
    by_seed = [statistics.fmean(cell.scores[seed] for cell in cells) for seed in seeds]
    return Average(statistics.fmean(by_seed), spread(by_seed), len(seeds))


def status_of(cells: Sequence[Cell]) -> str:
    """Return ``ok``, or the number of runs for each kind of failure."""
    kinds = Counter(failure.kind for cell in cells for failure in cell.failures)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "ok"
