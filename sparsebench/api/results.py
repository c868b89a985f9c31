"""Results that were read from a folder, and their leaderboard."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsebench.api.overrides import overrides
from sparsebench.errors import UnknownNameError, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sparsebench.api.overrides import Names
    from sparsebench.leaderboard import Leaderboard
    from sparsebench.leaderboard.comparison import Comparison
    from sparsebench.leaderboard.cost_columns import Cost
    from sparsebench.results.predictions import Predictions
    from sparsebench.results.records import RunResult
    from sparsebench.results.stored_run import StoredRun
    from sparsebench.results.verified import Verified

Warn = Callable[[str], None]
"""Takes a warning for the user."""


def emit_warning(message: str) -> None:
    """Pass a warning on to Python's ``warnings``."""
    warnings.warn(message, stacklevel=3)


@dataclass(frozen=True)
class Results:
    """The results of runs: a sequence of ``RunResult``, a DataFrame, a leaderboard.

    Attributes:
        results: The results that could be read.
        unreadable: The others, each with its reason.
        read: Reads the predictions of a run; None if they are absent or torn.
        verified: Key of a run -> how its score was verified.
    """

    results: tuple[RunResult, ...]
    unreadable: tuple[str, ...] = ()
    read: Callable[[RunResult], dict[str, Predictions] | None] = field(
        default=lambda _: None, repr=False
    )
    verified: Mapping[str, Verified] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        root: Path,
        found: Mapping[StoredRun, RunResult],
        *,
        unreadable: Sequence[str] = (),
        warn: Warn = emit_warning,
    ) -> Results:
        """Return results together with what else their folder holds of them.

        Args:
            root: The results folder.
            found: Its runs and their results.
            unreadable: Results that could not be read, each with its reason.
            warn: Called with a message for every file of predictions that cannot be read.
        """
        return cls(
            tuple(found.values()),
            tuple(unreadable),
            _reader(found, warn),
            _verified(found, root=root),
        )

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[RunResult]:
        return iter(self.results)

    def __getitem__(self, index: int) -> RunResult:
        return self.results[index]

    def __repr__(self) -> str:
        counts = Counter(result.status.value for result in self)
        return f"Results({len(self)}: {', '.join(f'{n} {name}' for name, n in counts.items())})"

    def only(
        self,
        *,
        tasks: Names | None = None,
        methods: Names | None = None,
        models: Names | None = None,
        seeds: int | str | Sequence[int] | None = None,
    ) -> Results:
        """Return the results of some tasks, methods, models and seeds; None keeps all.

        Args:
            tasks: Tasks.
            methods: Method labels.
            models: Backbones.
            seeds: Seeds.

        Raises:
            UnknownNameError: There is no result of one of the names.
        """
        wanted = overrides(tasks=tasks, methods=methods, models=models, seeds=seeds)
        kept = self.results
        for kind, name in _NAMES.items():
            asked = getattr(wanted, f"{kind}s")
            if asked is None:
                continue
            known, texts = {name(result) for result in kept}, list(map(str, asked))
            for text in texts:
                if text not in known:
                    raise UnknownNameError(kind, text, known=known, where=f"--{kind}s")
            kept = tuple(result for result in kept if name(result) in texts)
        return replace(self, results=kept)

    def leaderboard(self) -> LeaderboardView:
        """Return the leaderboard: ``str()`` is Markdown, a notebook shows a table."""
        from sparsebench.leaderboard.build import build

        board = build(
            self.results, read=self.read, verified=self.verified, unreadable=self.unreadable
        )
        return LeaderboardView(board)

    def compare(self, first: str, second: str) -> list[Comparison]:
        """Compare two methods, group by group.

        Args:
            first: The label of a method.
            second: The label of another.

        Raises:
            UnknownNameError: There is no result of one of them.
        """
        from sparsebench.leaderboard import compare

        return compare(self.results, first, second, read=self.read)

    def to_pandas(self) -> Any:
        """Return a DataFrame: a row for each run; the columns are those of the Parquet export."""
        import pandas as pd

        from sparsebench.leaderboard.export import flat_table

        return pd.DataFrame(flat_table(self.results))

    def _repr_html_(self) -> str:
        return str(self.to_pandas().to_html())


@dataclass(frozen=True)
class LeaderboardView:
    """A leaderboard: Markdown as text, a table in a notebook, a file in any format.

    Attributes:
        board: The leaderboard as data.
    """

    board: Leaderboard

    def __str__(self) -> str:
        return self.render("md")

    def _repr_markdown_(self) -> str:
        return self.render("md")

    def render(self, form: str = "md", *, cost: str | None = None) -> str:
        """Return the leaderboard as text.

        Args:
            form: ``md``, ``csv``, ``json``, ``tex``, ``html`` or ``svg``.
            cost: The cost that ``svg`` plots scores against; None for trainable parameters.

        Raises:
            UnknownNameError: There is no such format or cost.
        """
        from sparsebench.leaderboard import FORMATS, plot

        if form not in FORMATS:
            raise UnknownNameError("format", form, known=FORMATS)
        return plot.to_svg(self.board, cost=_cost(cost)) if cost else FORMATS[form](self.board)

    def save(self, file: str | Path, *, form: str | None = None, cost: str | None = None) -> None:
        """Write the leaderboard to a file.

        Args:
            file: The file.
            form: As for ``render``, or ``png``; None for what the file's name ends in.
            cost: The cost that ``svg`` and ``png`` plot scores against.

        Raises:
            UserError: The file cannot be written.
            UnknownNameError: There is no such format or cost.
        """
        path = Path(file)
        form = form or path.suffix.lower().removeprefix(".")
        if form == "png":
            from sparsebench.leaderboard import plot

            content = plot.to_png(self.board, cost=_cost(cost))
        else:
            content = self.render(form, cost=cost).encode()
        try:
            path.write_bytes(content)
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror})") from error


_NAMES: dict[str, Callable[[RunResult], str]] = {
    "task": lambda result: result.spec.task,
    "method": lambda result: result.spec.method.label,
    "model": lambda result: result.spec.model,
    "seed": lambda result: str(result.spec.seed),
}
"""Kind of name -> the name of a result."""


def load_results(folder: str | Path, *, warn: Warn = emit_warning) -> Results:
    """Load the results of a folder, as far as they can be read.

    Args:
        folder: The results folder.
        warn: Called with a message for every file that cannot be read.

    Raises:
        UserError: There is nothing that can be read.
    """
    from sparsebench.results.store import Store

    root = Path(folder)
    _check_folder(root)
    runs = Store(root).runs()
    if not runs:
        raise UserError(f"{root}: there are no results in it{_elsewhere(root)}")
    found, unreadable = _read_results(runs, root=root, warn=warn)
    if not found:
        raise UserError(f"{root}: none of its {len(runs)} results can be read")
    return Results.of(root, found, unreadable=unreadable, warn=warn)


def _check_folder(root: Path) -> None:
    """Check that a folder may hold results.

    Raises:
        UserError: It is no folder, or that of one result.
    """
    from sparsebench.results.stored_run import RESULT

    if root.is_file():
        raise UserError(f"{root}: a file, not a folder of results")
    if not root.is_dir():
        raise UserError(
            f"{root}: no such folder; 'sparsebench run SUITE --output {root}' creates it"
        )
    if (root / RESULT).is_file():
        raise UserError(f"{root}: this is one result; name the folder above it, {root.parent}")


def _read_results(
    runs: Sequence[StoredRun], *, root: Path, warn: Warn
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


def _elsewhere(folder: Path) -> str:
    from sparsebench.results.packed import PACKED
    from sparsebench.results.stored_run import RESULT

    below = {file.parents[1] for file in folder.glob(f"[!.]*/*/{RESULT}")}
    below |= {file.parent for file in folder.glob(f"[!.]*/{PACKED}")}
    return f"; there are some in {', '.join(map(str, sorted(below)[:3]))}" if below else ""


def _verified(found: Mapping[StoredRun, RunResult], *, root: Path) -> dict[str, Verified]:
    """Return how scores were verified, of results that have not changed since."""
    from sparsebench.results.verified import is_unchanged, read_verified

    verified = read_verified(root)
    return {
        result.key: verified[result.key][0]
        for run, result in found.items()
        if result.key in verified and is_unchanged(run, result, digest=verified[result.key][1])
    }


def _reader(
    found: Mapping[StoredRun, RunResult], warn: Warn
) -> Callable[[RunResult], dict[str, Predictions] | None]:
    """Return the reader of a run's predictions; it warns of files that are torn."""
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


def _cost(name: str | None) -> Cost:
    from sparsebench.leaderboard.cost_columns import COSTS, cost_named

    return cost_named(name) if name else COSTS[0]
