"""Every check of a folder of results, from one file to what results say about each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sparsebench.execution.verification.scores import score_faults, unchecked
from sparsebench.results.checksums import changed_files, file_hash, read_checksums
from sparsebench.results.predictions import (
    PREDICTIONS,
    CorruptPredictionsError,
    examples_digest,
    read_predictions,
)
from sparsebench.results.records import Status
from sparsebench.results.store import (
    RESULT,
    CorruptResultError,
    folder_name,
    read_result,
    run_key,
)
from sparsebench.results.verified import Verified

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sparsebench.results.predictions import Predictions
    from sparsebench.results.records import RunResult


@dataclass(frozen=True)
class Fault:
    """Something that is wrong.

    Attributes:
        folder: The folder of the run.
        message: What is wrong with it.
    """

    folder: Path
    message: str


@dataclass
class VerifyReport:
    """What a verification found.

    Attributes:
        files: The ``result.json`` of every run that was looked at.
        faults: All that is wrong.
        doubts: What may be right and cannot be believed without being asked about.
        verified: Key of a sound run -> what its score rests on, digest of its ``result.json``.
        results: The results that could be read, by their ``result.json``.
        unsealed: How many runs have no checksums, since an older version wrote them.
        unchecked: Metrics that cannot be computed again here -> the reason.
    """

    files: list[Path]
    faults: list[Fault] = field(default_factory=list)
    doubts: list[Fault] = field(default_factory=list)
    verified: dict[str, tuple[Verified, str]] = field(default_factory=dict)
    results: dict[Path, RunResult] = field(default_factory=dict)
    unsealed: int = 0
    unchecked: dict[str, str] = field(default_factory=dict)


def verify(files: Sequence[Path]) -> VerifyReport:
    """Checks results one by one and against each other, and computes their scores again.

    Args:
        files: The ``result.json`` of every run.
    """
    report = VerifyReport(list(files))
    examples: dict[Path, str] = {}
    for file in files:
        try:
            result = read_result(file)
        except CorruptResultError as error:
            report.faults.append(Fault(file.parent, _alone(error, file)))
            continue
        report.results[file] = result
        faults = [*_integrity(file, result, report)]
        answers = _answers(file, result, faults)
        if answers is not None:
            examples[file] = examples_digest(answers)
            faults += score_faults(result, answers)
        report.faults += [Fault(file.parent, fault) for fault in faults]
        if not faults:
            report.unchecked |= {} if answers is None else unchecked(result)
            known = Verified.REPORTED if answers is None else Verified.RECOMPUTED
            report.verified[result.key] = (known, file_hash(file))
    _hold_together(report, examples)
    return report


def _integrity(file: Path, result: RunResult, report: VerifyReport) -> Iterator[str]:
    """Yields what shows that files were changed, moved or lost."""
    folder = file.parent
    if result.key != run_key(result.spec):
        yield (
            f"its key is {result.key}, but its spec has the key {run_key(result.spec)}: the spec "
            "(method, settings, seed, data fingerprint ...) is not the one that was run"
        )
    elif folder.name != folder_name(result.spec):
        home = folder_name(result.spec)
        yield f"the result of another run ({result.spec.title}): it belongs in {home}"
    try:
        listed = read_checksums(folder)
        changed = changed_files(folder, listed or {})
    except (OSError, ValueError) as error:
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


def _answers(file: Path, result: RunResult, faults: list[str]) -> dict[str, Predictions] | None:
    """Reads the predictions of a run that has a score; what is wrong goes to ``faults``."""
    stored = file.with_name(PREDICTIONS)
    if result.status is not Status.OK:
        return None
    if PREDICTIONS not in result.files:
        if stored.exists():
            faults.append(f"{PREDICTIONS} is not listed in its result")
        return None
    try:
        answers = read_predictions(stored)
    except CorruptPredictionsError as error:
        faults.append(_alone(error, stored))
        return None
    expected = result.files[PREDICTIONS]
    if file_hash(stored) != expected:
        faults.append(f"{PREDICTIONS} is not the file that its result was made with")
    return answers


def _hold_together(report: VerifyReport, examples: dict[Path, str]) -> None:
    """Tells of runs whose data fingerprint and whose examples do not go together.

    Runs with one fingerprint were asked the same examples: others are wrong. Runs with another
    fingerprint may have been asked the same ones after other training data, which no file here can
    tell from a false fingerprint: they count as ``reported``. Of two camps, the smaller is told of.
    """
    for file, fault, is_wrong in _strangers(report.results, examples):
        key = report.results[file].key
        if is_wrong:
            report.faults.append(Fault(file.parent, fault))
            report.verified.pop(key, None)
            continue
        report.doubts.append(Fault(file.parent, fault))
        if key in report.verified:
            report.verified[key] = (Verified.REPORTED, report.verified[key][1])


def _strangers(
    results: dict[Path, RunResult], examples: dict[Path, str]
) -> Iterator[tuple[Path, str, bool]]:
    """Yields runs that do not go together with others, why, and whether that must be wrong."""
    pairs: dict[tuple[str, str, str, str], list[Path]] = {}
    for file, digest in examples.items():
        spec = results[file].spec
        pair = (spec.task, spec.task_version, spec.data_fingerprint, digest)
        pairs.setdefault(pair, []).append(file)
    for pair, files in pairs.items():
        task, version, data, digest = pair
        for other, more in pairs.items():
            if other[:2] != (task, version) or other == pair or len(files) > len(more):
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
            yield from ((file, fault, other[2] == data) for file in files)


def _alone(error: Exception, file: Path) -> str:
    return str(error).removeprefix(f"{file.parent}/")
