"""The results that a command reads: a folder, what is in it, and what stands beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sparsebench.errors import UnknownNameError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sparsebench.leaderboard import Table
    from sparsebench.results.predictions import Predictions
    from sparsebench.results.records import RunResult
    from sparsebench.results.stored_run import StoredRun
    from sparsebench.results.verified import Verified
    from sparsebench.suite.overrides import Overrides

Results = Annotated[
    Path, typer.Argument(metavar="RESULTS", help="A folder that 'run' has written results to.")
]
MaybeResults = Annotated[
    Path | None, typer.Argument(metavar="RESULTS", help="A folder of results; without it, none.")
]
Tasks = Annotated[str | None, typer.Option("--tasks", metavar="A,B", help="Only these tasks.")]
Methods = Annotated[
    str | None, typer.Option("--methods", metavar="A,B", help="Only these methods, by label.")
]


@dataclass(frozen=True)
class Folder:
    """What could be read of a folder of results.

    Attributes:
        results: The results that could be read.
        unreadable: The others, each with its reason.
        read: Reads the predictions of a run; None where they are absent or torn.
        evidence: Key of a run -> what its score rests on.
    """

    results: tuple[RunResult, ...]
    unreadable: tuple[str, ...]
    read: Callable[[RunResult], dict[str, Predictions] | None]
    evidence: Mapping[str, Verified]

    def table(self) -> Table:
        """Makes the leaderboard."""
        from sparsebench.leaderboard import build

        return build(
            self.results, read=self.read, evidence=self.evidence, unreadable=self.unreadable
        )


def read_folder(root: Path, *, wanted: Overrides | None = None) -> Folder:
    """Reads what can be read of a folder, and says on the way why the rest cannot.

    Args:
        root: The folder.
        wanted: The tasks and methods to keep; None for all.

    Raises:
        UserError: There is nothing that can be read.
        UnknownNameError: There is no result of a task or a method that is wanted.
    """
    from sparsebench.results.store import Store

    _check_folder(root)
    store = Store(root)
    runs = store.runs()
    if not runs:
        raise UserError(f"{root}: there are no results in it{_elsewhere(root)}")
    found, unreadable = _read_results(runs, root=root)
    if not found:
        raise UserError(f"{root}: none of its {len(runs)} results can be read")
    evidence = evidence_of(found, root=root)
    results = list(found.values())
    if wanted:
        results = _only(results, wanted.tasks, kind="task", name=lambda r: r.spec.task)
        results = _only(results, wanted.methods, kind="method", name=lambda r: r.spec.method.label)
    return Folder(tuple(results), tuple(unreadable), reader(found), evidence)


def _check_folder(root: Path) -> None:
    """Checks that results may be in a folder.

    Raises:
        UserError: It is none, or that of one result.
    """
    from sparsebench.results.stored_run import RESULT

    if root.is_file():
        raise UserError(f"{root}: a file, not a folder of results")
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; 'sparsebench run SUITE --output {root}' makes it")
    if (root / RESULT).is_file():
        raise UserError(f"{root}: this is one result; name the folder above it, {root.parent}")


def _read_results(
    runs: Sequence[StoredRun], *, root: Path
) -> tuple[dict[StoredRun, RunResult], list[str]]:
    from sparsebench.results.stored_run import CorruptResultError

    found, unreadable = {}, []
    for run in runs:
        try:
            found[run] = run.result()
        except CorruptResultError as error:
            unreadable.append(str(error).removeprefix(f"{root}/"))
            warn(f"left out: {error}")
    return found, unreadable


def evidence_of(found: Mapping[StoredRun, RunResult], *, root: Path) -> dict[str, Verified]:
    """Return how far results are verified that have not changed since.

    Args:
        found: Stored runs and their results.
        root: The folder of them all.
    """
    from sparsebench.results.verified import is_unchanged, read_verified

    verified = read_verified(root)
    return {
        result.key: verified[result.key][0]
        for run, result in found.items()
        if result.key in verified and is_unchanged(run, result, digest=verified[result.key][1])
    }


def reader(
    found: Mapping[StoredRun, RunResult],
) -> Callable[[RunResult], dict[str, Predictions] | None]:
    """Return a function that reads the predictions of a run, or warns and returns None.

    Args:
        found: Stored runs and their results.
    """
    from sparsebench.results.predictions import PREDICTIONS, CorruptPredictionsError

    stored: dict[str, StoredRun] = {}
    for run, result in found.items():
        stored.setdefault(result.key, run)

    def read(result: RunResult) -> dict[str, Predictions] | None:
        run = stored.get(result.key)
        if run is None or PREDICTIONS not in result.files or not run.has(PREDICTIONS):
            return None
        try:
            return run.predictions()
        except CorruptPredictionsError as error:
            warn(str(error))
            return None

    return read


def warn(message: str) -> None:
    """Prints a warning beside the output."""
    Console(stderr=True, soft_wrap=True).print(f"warning: {message}", style="yellow", markup=False)


def write_text(file: Path, text: str) -> None:
    """Writes a file and says so.

    Raises:
        UserError: It cannot be written.
    """
    write_bytes(file, text.encode())


def write_bytes(file: Path, content: bytes) -> None:
    """Writes a file and says so.

    Raises:
        UserError: It cannot be written.
    """
    try:
        file.write_bytes(content)
    except OSError as error:
        raise UserError(f"{file}: cannot be written ({error.strerror})") from error
    Console(stderr=True, soft_wrap=True).print(f"Wrote {file}", markup=False)


def read_text(file: Path) -> str:
    """Reads a file that must be there; its line endings stay what they are.

    Raises:
        UserError: It cannot be read.
    """
    try:
        return file.read_bytes().decode()
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"{file}: cannot be read ({error})") from error


def _elsewhere(folder: Path) -> str:
    from sparsebench.results.packed import PACKED
    from sparsebench.results.stored_run import RESULT

    below = {file.parents[1] for file in folder.glob(f"[!.]*/*/{RESULT}")}
    below |= {file.parent for file in folder.glob(f"[!.]*/{PACKED}")}
    return f"; there are some in {', '.join(map(str, sorted(below)[:3]))}" if below else ""


def _only(
    results: list[RunResult],
    names: Collection[str] | None,
    *,
    kind: str,
    name: Callable[[RunResult], str],
) -> list[RunResult]:
    """Returns the results of the named tasks or methods, or all where none is named."""
    if names is None:
        return results
    known = {name(result) for result in results}
    for wanted in names:
        if wanted not in known:
            raise UnknownNameError(kind, wanted, known=known, where=f"--{kind}s")
    return [result for result in results if name(result) in names]
