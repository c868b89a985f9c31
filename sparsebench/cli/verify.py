"""``sparsebench verify``: doubts every number of a folder of results."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sparsebench.cli import folder, options
from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparsebench.execution.verification import VerifyReport
    from sparsebench.execution.verification.rerun import RerunOutcome
    from sparsebench.results.records import RunResult

FAILED = 1
"""Exit code where a number cannot be believed."""


def verify(
    results: folder.Results = options.OUTPUT,
    *,
    rerun: Annotated[
        int, typer.Option(min=0, metavar="K", help="Make K runs again and compare their scores.")
    ] = 0,
    draw: Annotated[int, typer.Option(metavar="SEED", help="Draws the runs to make again.")] = 0,
    tolerance: Annotated[
        float | None, typer.Option(min=0, help="How far a score made again may lie off; 0.02.")
    ] = None,
    data: options.Data = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Check a folder of results: files, keys, and every score, computed again from predictions.

    What was found to be sound is kept in verified.json, for the column 'evidence' of leaderboards.
    The exit code is 1 where anything is wrong.
    """
    from sparsebench.execution.verification import verify as check
    from sparsebench.results.store import Store

    console = Console(soft_wrap=True, highlight=False, markup=False)
    if not results.is_dir():
        raise UserError(f"{results}: no such folder")
    runs = Store(results).runs()
    if not runs:
        raise UserError(f"{results}: there are no results in it")
    report = check(runs)
    _print_faults(report, console)
    made = _again(_draw(report, count=rerun, seed=draw), data=data, device=device) if rerun else []
    agreed = _compare(made, tolerance=tolerance, console=console)
    _keep(results, report, made)
    console.print(_summary(report))
    if report.faults or not agreed:
        raise typer.Exit(FAILED)


def _print_faults(report: VerifyReport, console: Console) -> None:
    for fault in report.faults:
        console.print(f"{fault.run.name}: {fault.message}")
    for doubt in report.doubts:
        console.print(f"{doubt.run.name}: in doubt: {doubt.message}")
    for metric, reason in report.unchecked.items():
        console.print(f"{metric}: not computed again: {reason}")


def _tolerance(asked: float | None) -> float:
    from sparsebench.execution.verification.rerun import TOLERANCE

    return TOLERANCE if asked is None else asked


def _draw(report: VerifyReport, *, count: int, seed: int) -> list[RunResult]:
    from sparsebench.execution.verification.rerun import draw

    wrong = {fault.run for fault in report.faults}
    sound = {result.key: result for run, result in report.results.items() if run not in wrong}
    return draw(sound.values(), count=count, seed=seed)


def _again(results: Sequence[RunResult], *, data: Path | None, device: str) -> list[RerunOutcome]:
    """Makes runs again, in a folder that is then gone."""
    from sparsebench.cli.progress import progress
    from sparsebench.execution.executors import EXECUTORS
    from sparsebench.execution.verification.rerun import RerunOutcome, job_for
    from sparsebench.results.store import Store
    from sparsebench.tasks import DataSource

    made, jobs = [], []
    with tempfile.TemporaryDirectory(prefix="sparsebench-rerun-") as root:
        for result in results:
            try:
                jobs.append(job_for(result, data=DataSource(folder=data), store=Path(root)))
            except UserError as error:
                made.append(RerunOutcome(result, None, str(error)))
        titles = {job.key: job.spec.title for job in jobs}
        with progress(titles, cached=0, console=Console(stderr=True)) as report:
            EXECUTORS.get("local")(workers=1, device=device).run(jobs, report)
        by_key = {result.key: result for result in results}
        for job in jobs:
            new = Store(Path(root)).find(job.spec)
            reason = "it left no result" if new is None else new.reason
            made.append(RerunOutcome(by_key[job.key], new.score if new else None, reason))
    return made


def _compare(made: Sequence[RerunOutcome], *, tolerance: float | None, console: Console) -> bool:
    """Prints the scores of runs that were made again; returns whether all agree."""
    limit = _tolerance(tolerance)
    for again in made:
        title = again.result.spec.title
        if again.difference is None:
            console.print(f"{title}: could not be made again: {again.reason}")
            continue
        word = "agrees" if again.agrees(limit) else "does NOT agree"
        console.print(
            f"{title}: {again.result.score:.4f} stored, {again.score:.4f} now: {word} "
            f"(within {limit:g})"
        )
    return all(again.agrees(limit) for again in made)


def _keep(root: Path, report: VerifyReport, made: Sequence[RerunOutcome]) -> None:
    """Keeps what was found.

    A run that was made again within our own tolerance, whatever was asked for, is ``rerun``; it
    stays so while its file is the same, and no later one disagrees.
    """
    from sparsebench.execution.verification.rerun import TOLERANCE
    from sparsebench.results.verified import Verified, read_verified, write_verified

    try:
        before = read_verified(root)
    except UserError as error:
        folder.warn(f"{error}; it is written anew")
        before = {}
    agrees = {each.result.key: each.agrees(TOLERANCE) for each in made if each.score is not None}
    for key, (_, digest) in report.verified.items():
        if agrees.get(key, before.get(key) == (Verified.RERUN, digest)):
            report.verified[key] = (Verified.RERUN, digest)
    try:
        write_verified(root, report.verified)
    except OSError as error:
        folder.warn(f"{root}: what was verified could not be kept ({error.strerror})")


def _summary(report: VerifyReport) -> str:
    from collections import Counter

    from sparsebench.results.verified import Verified

    counts = Counter(evidence for evidence, _ in report.verified.values())
    told = [f"{counts[kind]} {kind}" for kind in reversed(Verified) if counts[kind]]
    wrong = len({fault.run for fault in report.faults})
    told += [f"{wrong} WRONG"] if wrong else []
    doubtful = len({doubt.run for doubt in report.doubts})
    told += [f"{doubtful} in doubt"] if doubtful else []
    runs = "1 result" if len(report.runs) == 1 else f"{len(report.runs)} results"
    unsealed = f"; {report.unsealed} without checksums" if report.unsealed else ""
    return f"{runs}: {', '.join(told)}{unsealed}"
