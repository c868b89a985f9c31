"""``sparsebench verify``: recompute the scores of a folder of results, and rerun some."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparsebench.api.console import SafeConsole, activity
from sparsebench.api.experiment import RUNS
from sparsebench.cli import options
from sparsebench.cli.output import Format, print_json, warn
from sparsebench.cli.terminal import stdout_reserved
from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from sparsebench.execution.job import Job
    from sparsebench.execution.verification import VerifyReport
    from sparsebench.execution.verification.rerun import RerunOutcome
    from sparsebench.results.records import RunResult

FAILED = 1
"""Exit code if a result is wrong or a rerun disagrees."""


def verify(
    results: options.ResultsFolder = RUNS,
    *,
    rerun: Annotated[
        int, typer.Option(min=0, metavar="K", help="Rerun K runs and compare their scores.")
    ] = 0,
    draw: Annotated[
        int, typer.Option(metavar="SEED", help="The seed that chooses the runs to rerun.")
    ] = 0,
    tolerance: Annotated[
        float | None, typer.Option(min=0, help="The largest difference of a rerun score; 0.02.")
    ] = None,
    data: options.Data = None,
    device: options.DeviceName = "auto",
    format_: Annotated[Format, options.format_option(Format.TABLE, Format.JSON)] = Format.TABLE,
) -> None:
    """Verify a folder of results: files, keys, and every score, recomputed from predictions.

    With --data, references are compared with those of the data set too.

    The outcome is kept in verified.json, for the column 'verified' of leaderboards. The exit code
    is 1 if anything is wrong.

    For example:

        sparsebench verify results/reference
        sparsebench verify runs --rerun 3 --data DIR
        sparsebench verify runs --format json
    """
    from sparsebench.execution.verification import verify as check
    from sparsebench.results.store import Store

    console = SafeConsole(soft_wrap=True, quiet=format_ is Format.JSON)
    if not results.is_dir():
        raise UserError(f"{results}: no such folder")
    runs = Store(results).runs()
    if not runs:
        raise UserError(f"{results}: there are no results in it")
    of_all = f"of {len(runs)} results"
    with stdout_reserved(), activity(f"Verifying 0 {of_all}") as show:
        report = check(runs, data=data, progress=lambda done: show(f"Verifying {done} {of_all}"))
    _print_faults(report, console)
    if data:
        for task, reason in report.without_data.items():
            console.print(f"{task}: references not compared with the data set: {reason}")
    with stdout_reserved():
        drawn = _draw(report, count=rerun, seed=draw) if rerun else []
        stored = {result.key: result for result in report.results.values()}
        reruns = _rerun(drawn, data=data, device=device, stored=stored)
    limit = _tolerance(tolerance)
    _print_reruns(reruns, limit=limit, console=console)
    _keep(results, report, reruns)
    console.print(_summary(report))
    console.print(_meaning(report), style="dim")
    if format_ is Format.JSON:
        print_json(_raw(report, reruns, limit=limit))
    if report.faults or not all(each.agrees(limit) for each in reruns):
        raise typer.Exit(FAILED)


def _print_faults(report: VerifyReport, console: Console) -> None:
    for fault in report.faults:
        console.print(f"{fault.run.name}: {fault.message}")
    for doubt in report.doubts:
        console.print(f"{doubt.run.name}: in doubt: {doubt.message}")
    for metric, reason in report.unchecked.items():
        console.print(f"{metric}: not recomputed: {reason}")


def _tolerance(asked: float | None) -> float:
    from sparsebench.execution.verification.rerun import TOLERANCE

    return TOLERANCE if asked is None else asked


def _draw(report: VerifyReport, *, count: int, seed: int) -> list[RunResult]:
    from sparsebench.execution.verification.rerun import draw

    wrong = {fault.run for fault in report.faults}
    sound = {result.key: result for run, result in report.results.items() if run not in wrong}
    return draw(sound.values(), count=count, seed=seed)


def _rerun(
    results: Sequence[RunResult],
    *,
    data: Path | None,
    device: str,
    stored: Mapping[str, RunResult],
) -> list[RerunOutcome]:
    """Rerun runs, after their teachers, in a temporary folder."""
    from sparsebench.api.progress import progress
    from sparsebench.execution.executors import EXECUTORS
    from sparsebench.execution.verification.rerun import RerunOutcome, jobs_for
    from sparsebench.results.store import Store
    from sparsebench.tasks import DataSource

    reruns: list[RerunOutcome] = []
    jobs: dict[str, Job] = {}  # by key; a teacher is repeated once for all of its students
    with tempfile.TemporaryDirectory(prefix="sparsebench-rerun-") as root:
        for result in results:
            try:
                for job in jobs_for(
                    result, data=DataSource(folder=data), store=Path(root), results=stored
                ):
                    if job.key not in jobs or job.keep_model:
                        jobs[job.key] = job
            except UserError as error:
                reruns.append(RerunOutcome(result, None, str(error)))
        if not jobs:
            return reruns
        titles = {key: job.spec.title for key, job in jobs.items()}
        with progress(titles, cached=0, console=SafeConsole(stderr=True)) as report:
            EXECUTORS.get("local")(workers=1, device=device).run(list(jobs.values()), report)
        failed = {each.result.key for each in reruns}
        for result in (each for each in results if each.key not in failed):
            new = Store(Path(root)).find(result.spec)
            reason = "no result was stored" if new is None else new.reason
            reruns.append(RerunOutcome(result, new.score if new else None, reason))
    return reruns


def _print_reruns(reruns: Sequence[RerunOutcome], *, limit: float, console: Console) -> None:
    """Print the stored and the new score of each rerun, and whether they agree."""
    for each in reruns:
        title = each.result.spec.title
        if each.difference is None:
            console.print(f"{title}: could not be rerun: {each.reason}")
            continue
        word = "agrees" if each.agrees(limit) else "does NOT agree"
        console.print(
            f"{title}: {each.result.score:.4f} stored, {each.score:.4f} now: {word} "
            f"(within {limit:g})"
        )


def _keep(root: Path, report: VerifyReport, reruns: Sequence[RerunOutcome]) -> None:
    """Store how each score was verified.

    A run whose rerun agrees within the default tolerance, whatever ``--tolerance`` is, counts as
    ``rerun``, as long as its file does not change and no later rerun disagrees.
    """
    from sparsebench.execution.verification.rerun import TOLERANCE
    from sparsebench.results.verified import Verified, read_verified, write_verified

    try:
        before = read_verified(root)
    except UserError as error:
        warn(f"{error}; it is replaced")
        before = {}
    agrees = {each.result.key: each.agrees(TOLERANCE) for each in reruns if each.score is not None}
    for key, (_, digest) in report.verified.items():
        if agrees.get(key, before.get(key) == (Verified.RERUN, digest)):
            report.verified[key] = (Verified.RERUN, digest)
    try:
        write_verified(root, report.verified)
    except OSError as error:
        warn(f"{root}: verified.json could not be written ({error.strerror})")


def _meaning(report: VerifyReport) -> str:
    """Say in one line what recomputed scores prove, and what they do not."""
    proved = "the scores are those of the stored predictions and references"
    open_ = ["that a model made these predictions (--rerun)"]
    if report.compared:
        own = "all" if report.compared == len(report.runs) else f"{report.compared} runs"
        proved += f", and the references of {own} are the data set's own"
    if report.without_data:
        open_.append("that the references are the data set's own (--data)")
    return f"recomputed: {proved}; not proved: {', nor '.join(open_)}"


def _summary(report: VerifyReport) -> str:
    from collections import Counter

    from sparsebench.results.verified import Verified

    counts = Counter(evidence for evidence, _ in report.verified.values())
    parts = [f"{counts[kind]} {kind}" for kind in reversed(Verified) if counts[kind]]
    wrong = len({fault.run for fault in report.faults})
    parts += [f"{wrong} WRONG"] if wrong else []
    doubtful = len({doubt.run for doubt in report.doubts})
    parts += [f"{doubtful} in doubt"] if doubtful else []
    runs = "1 result" if len(report.runs) == 1 else f"{len(report.runs)} results"
    unsealed = f"; {report.unsealed} without checksums" if report.unsealed else ""
    return f"{runs}: {', '.join(parts)}{unsealed}"


def _raw(report: VerifyReport, reruns: Sequence[RerunOutcome], *, limit: float) -> dict[str, Any]:
    """Return the outcome as JSON values."""
    return {
        "results": len(report.runs),
        "verified": {key: level.value for key, (level, _) in report.verified.items()},
        "faults": [{"run": each.run.name, "message": each.message} for each in report.faults],
        "doubts": [{"run": each.run.name, "message": each.message} for each in report.doubts],
        "not_recomputed": report.unchecked,
        "references_compared": report.compared,
        "references_not_compared": report.without_data,
        "without_checksums": report.unsealed,
        "reruns": [
            {
                "key": each.result.key,
                "stored": each.result.score,
                "now": each.score,
                "agrees": each.agrees(limit),
                "reason": each.reason,
            }
            for each in reruns
        ],
    }
