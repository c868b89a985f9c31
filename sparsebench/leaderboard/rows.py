"""Which runs make a row, which make a column, and which of two results of one run is shown."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparsebench.leaderboard.run_terms import (
    Facts,
    canonical,
    common,
    group_by,
    method_facts,
    term_facts,
    terms,
)
from sparsebench.leaderboard.table import Column
from sparsebench.results.records import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sparsebench.results.records import RunResult


@dataclass(frozen=True)
class RowRuns:
    """The runs of one row.

    Attributes:
        name: The method's label, numbered where several rows share it.
        label: The method's label.
        facts: What all its runs have in common.
        runs: Its runs.
    """

    name: str
    label: str
    facts: Facts
    runs: tuple[RunResult, ...]


def rows_of(results: Sequence[RunResult]) -> list[RowRuns]:
    """Sorts the runs of a group into rows.

    A row is one label with one set of settings. Its budget may differ from task to task, as a suite
    may ask for it; where one task was run on several terms, each makes a row of its own.
    """
    rows = []
    for label, labelled in group_by(results, lambda result: result.spec.method.label).items():
        variants = list(_variants(labelled))
        for number, runs in enumerate(variants, start=1):
            name = f"{label} #{number}" if len(variants) > 1 else label
            specs = [run.spec for run in runs]
            facts = common({**method_facts(spec), **term_facts(spec)} for spec in specs)
            rows.append(RowRuns(name, label, facts, tuple(runs)))
    return rows


def _variants(labelled: list[RunResult]) -> Iterator[list[RunResult]]:
    by_settings = group_by(labelled, lambda result: canonical(result.spec.method))
    for same_settings in by_settings.values():
        by_task = group_by(same_settings, lambda result: result.spec.task)
        if all(len({terms(run.spec) for run in runs}) == 1 for runs in by_task.values()):
            yield same_settings
        else:
            yield from group_by(same_settings, lambda result: terms(result.spec)).values()


def columns_of(results: Sequence[RunResult]) -> list[Column]:
    """Returns the tasks of a group: one column for each version and each data that was used.

    The data of a run that was skipped says nothing, since it may have been skipped for want of it.
    """
    columns = []
    for task, runs in group_by(results, lambda result: result.spec.task).items():
        tried = [run for run in runs if run.status is not Status.SKIPPED] or runs[:1]
        kinds = sorted({_kind(run) for run in tried})
        versions = Counter(version for version, _ in kinds)
        for version, data in kinds:
            apart = [f"version {version}"] if len(versions) > 1 else []
            apart += [f"data {data[:8]}"] if versions[version] > 1 else []
            metrics = {run.headline_metric for run in tried if _kind(run) == (version, data)}
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
    """Whether a run is of a column; one that was skipped is of every column of its task."""
    if run.spec.task != column.task:
        return False
    same = _kind(run) == (column.version, column.data_fingerprint)
    return same or run.status is Status.SKIPPED


def _kind(run: RunResult) -> tuple[str, str]:
    return run.spec.task_version, run.spec.data_fingerprint


def shown(runs: Sequence[RunResult]) -> RunResult:
    """Returns which result of one run counts: one that was tried, then the newest."""

    def rank(run: RunResult) -> tuple[bool, str, str]:
        created = run.provenance.created if run.provenance else ""
        return run.status is not Status.SKIPPED, created, run.model_dump_json()

    return runs[0] if len(runs) == 1 else max(runs, key=rank)
