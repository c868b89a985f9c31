"""Every check of stored results, from one file to what results say about each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sparsebench.errors import UserError
from sparsebench.execution.verification.references import OwnData
from sparsebench.execution.verification.scores import score_faults, unchecked
from sparsebench.results.predictions import PREDICTIONS, CorruptPredictionsError, examples_digest
from sparsebench.results.records import Status
from sparsebench.results.store import folder_name, run_key
from sparsebench.results.stored_run import RESULT, CorruptResultError
from sparsebench.results.verified import Verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from sparsebench.results.predictions import Predictions
    from sparsebench.results.records import RunResult
    from sparsebench.results.stored_run import StoredRun


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with a stored run.

    Attributes:
        run: The run.
        message: The fault, in one line.
    """

    run: StoredRun
    message: str


@dataclass
class VerifyReport:
    """The findings of a verification.

    Attributes:
        runs: Every run that was checked.
        faults: Everything that is wrong.
        doubts: What may be right, but cannot be believed without asking its author.
        verified: Key of a sound run -> how far it is verified, digest of its ``result.json``.
        results: The results that could be read.
        unsealed: Runs without checksums, which older versions wrote.
        unchecked: Metrics that cannot be computed again here -> the reason.
        compared: Runs whose references were compared with the data set.
        without_data: Task -> why references were not compared.
    """

    runs: list[StoredRun]
    faults: list[Fault] = field(default_factory=list)
    doubts: list[Fault] = field(default_factory=list)
    verified: dict[str, tuple[Verified, str]] = field(default_factory=dict)
    results: dict[StoredRun, RunResult] = field(default_factory=dict)
    unsealed: int = 0
    unchecked: dict[str, str] = field(default_factory=dict)
    compared: int = 0
    without_data: dict[str, str] = field(default_factory=dict)


def verify(
    runs: Sequence[StoredRun],
    *,
    data: Path | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> VerifyReport:
    """Check runs one by one and against each other, and compute their scores again.

    Args:
        runs: The stored runs.
        data: A folder of data sets, to compare references with; those that need no files are always
            compared.
        progress: Called with the number of runs that are verified so far.
    """
    report, own = VerifyReport(list(runs)), OwnData(data)
    examples: dict[StoredRun, str] = {}
    for done, run in enumerate(runs):
        progress(done)
        try:
            result = run.result()
        except CorruptResultError as error:
            report.faults.append(Fault(run, _below(run, error)))
            continue
        report.results[run] = result
        faults = [*_integrity(run, result, report)]
        predictions = _predictions(run, result, faults)
        if predictions is not None:
            examples[run] = examples_digest(predictions)
            faults += score_faults(result, predictions)
            faults += _reference_faults(result, predictions, own, report)
        report.faults += [Fault(run, fault) for fault in faults]
        if not faults and (digest := run.digest(RESULT)):
            report.unchecked |= {} if predictions is None else unchecked(result)
            level = Verified.REPORTED if predictions is None else Verified.RECOMPUTED
            report.verified[result.key] = (level, digest)
    _compare_data(report, examples)
    return report


def _integrity(run: StoredRun, result: RunResult, report: VerifyReport) -> Iterator[str]:
    """Yield the signs that files were changed, moved or lost."""
    if result.key != run_key(result.spec):
        yield (
            f"its key is {result.key}, but its spec has the key {run_key(result.spec)}: the spec "
            "(method, settings, seed, data fingerprint ...) is not the one that was run"
        )
    elif run.name != folder_name(result.spec):
        home = folder_name(result.spec)
        yield f"the result of another run ({result.spec.title}): it belongs in {home}"
    try:
        listed = run.checksums()
        changed = [name for name, digest in (listed or {}).items() if run.digest(name) != digest]
    except (OSError, ValueError, UserError) as error:
        yield f"its checksums cannot be read ({error})"
        return
    report.unsealed += listed is None
    for name in changed:
        yield f"{name} is not what was written: its checksum differs"
    if listed is not None:
        for name in sorted({RESULT, *result.files} - listed.keys()):
            yield f"{name} has no checksum, and the others have"
    if (result.status is Status.OK) != (result.score is not None):
        yield f"its status is {result.status}, but its score is {result.score}"


def _predictions(
    run: StoredRun, result: RunResult, faults: list[str]
) -> dict[str, Predictions] | None:
    """Read the predictions of a run that has a score; add what is wrong to ``faults``."""
    if result.status is not Status.OK:
        return None
    if PREDICTIONS not in result.files:
        if run.has(PREDICTIONS):
            faults.append(f"{PREDICTIONS} is not listed in its result")
        return None
    try:
        predictions = run.predictions()
    except CorruptPredictionsError as error:
        faults.append(_below(run, error))
        return None
    if run.digest(PREDICTIONS) != result.files[PREDICTIONS]:
        faults.append(f"{PREDICTIONS} is not the file that its result was computed from")
    return predictions


def _reference_faults(
    result: RunResult, predictions: dict[str, Predictions], own: OwnData, report: VerifyReport
) -> list[str]:
    """Compare references with the data set's own, if it is at hand."""
    if missing := own.missing(result):
        report.without_data[result.spec.task] = missing
        return []
    report.compared += 1
    return list(own.faults(result, predictions))


def _compare_data(report: VerifyReport, examples: dict[StoredRun, str]) -> None:
    """Report runs whose data fingerprint and whose examples contradict those of other runs.

    Runs with one fingerprint have the same examples: others are wrong. Runs with another
    fingerprint may have the same examples after other training data, which no file here can tell
    from a false fingerprint: they count as ``reported``. Of two groups, the smaller is reported.
    """
    for run, fault, is_wrong in _contradictions(report.results, examples):
        key = report.results[run].key
        if is_wrong:
            report.faults.append(Fault(run, fault))
            report.verified.pop(key, None)
            continue
        report.doubts.append(Fault(run, fault))
        if key in report.verified:
            report.verified[key] = (Verified.REPORTED, report.verified[key][1])


def _contradictions(
    results: dict[StoredRun, RunResult], examples: dict[StoredRun, str]
) -> Iterator[tuple[StoredRun, str, bool]]:
    """Yield runs that contradict others, why, and whether that must be wrong."""
    groups: dict[tuple[str, str, str, str], list[StoredRun]] = {}
    for run, digest in examples.items():
        spec = results[run].spec
        group = (spec.task, spec.task_version, spec.data_fingerprint, digest)
        groups.setdefault(group, []).append(run)
    for group, runs in groups.items():
        task, version, data, digest = group
        for other, more in groups.items():
            if other[:2] != (task, version) or other == group or len(runs) > len(more):
                continue
            if other[2] == data:
                fault = f"its examples are not those of other runs on the data {data[:8]}"
            elif other[3] == digest:
                fault = (
                    f"its data is said to be {data[:8]}, and its examples are those of runs on "
                    f"{other[2][:8]}: other training data, or a false fingerprint"
                )
            else:
                continue
            yield from ((run, fault, other[2] == data) for run in runs)


def _below(run: StoredRun, error: Exception) -> str:
    """Return the message of an error with the names of files below the run's folder."""
    return str(error).removeprefix(f"{run.folder}/")
