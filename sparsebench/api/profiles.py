"""Costs without training: of methods on untrained backbones, and of deployed folders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsebench.api.console import SafeConsole
from sparsebench.api.overrides import overrides
from sparsebench.errors import UnknownNameError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sparsebench.api.overrides import Names
    from sparsebench.execution.profile_runs.session import ProfileSession
    from sparsebench.leaderboard.render.document import TextDocument
    from sparsebench.results.profiles import BreakEvens, ProfileResult
    from sparsebench.schema.measuring import ProfileSettings
    from sparsebench.suite import Suite
    from sparsebench.suite.overrides import Overrides

    OpenSession = Callable[[ProfileSettings, Path | None], ProfileSession]


@dataclass(frozen=True)
class Profiles:
    """Measured costs: a sequence of ``ProfileResult``, a DataFrame, a table.

    Attributes:
        results: A result for each model and condition.
        break_evens: The sparsity above which each runtime is faster than dense, where measured.
    """

    results: tuple[ProfileResult, ...]
    break_evens: tuple[BreakEvens, ...] = ()

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[ProfileResult]:
        return iter(self.results)

    def __getitem__(self, index: int) -> ProfileResult:
        return self.results[index]

    def __str__(self) -> str:
        return self.render("md")

    def _repr_markdown_(self) -> str:
        return self.render("md")

    @property
    def document(self) -> TextDocument:
        """The table, before it is rendered."""
        from sparsebench.leaderboard import costs_document

        return costs_document(self.results, self.break_evens)

    def render(self, form: str = "md") -> str:
        """Return the table as text.

        Args:
            form: ``md``, ``csv``, ``json`` or ``tex``.

        Raises:
            UnknownNameError: There is no such format.
        """
        from sparsebench.leaderboard import RENDERERS

        if form not in RENDERERS:
            raise UnknownNameError("format", form, known=RENDERERS)
        return RENDERERS[form](self.document)

    def to_pandas(self) -> Any:
        """Return a DataFrame: a row for each result and runtime; the columns are those of csv."""
        import pandas as pd

        from sparsebench.leaderboard.costs_records import records

        return pd.DataFrame(list(records(self.results)))


def profile(
    target: str | Path | Sequence[str | Path] | None = None,
    *,
    methods: Names | None = None,
    models: Names | None = None,
    settings: Mapping[str, object] | Sequence[str] | None = None,
    output: str | Path | None = None,
    fresh: bool = False,
    progress: bool = True,
    command: str = "sparsebench.profile(...)",
    **conditions: object,
) -> Profiles:
    """Measure costs without training.

    Methods are measured on untrained backbones, with masks and removals as at the end of a run.
    What cannot be measured is a result or a note with its reason.

    Args:
        target: A suite, or folders of deployed models; None for ``methods`` on ``models``.
        methods: Methods, or labels of the suite.
        models: Backbones, such as ``"random:bert-base"``.
        settings: Changed settings, such as ``{"magnitude.sparsity": 0.9}``.
        output: The folder that keeps the results, which are then not measured again.
        fresh: Whether every result is measured again.
        progress: Whether the title of every measurement is printed, to the error stream.
        command: The command line, for the record.
        conditions: Keys of the section ``profile`` of a suite, such as ``batch_sizes=[1, 8]``,
            ``devices=["cpu"]``, ``runtimes=["csr"]``; ``sparsebench show profile`` lists them.

    Raises:
        UserError: A name, a setting or a condition is wrong.
    """
    targets = [target] if isinstance(target, str | Path) else list(target or ())
    changes = replace(
        overrides(models=models, methods=methods, settings=settings, profile=conditions),
        teachers=False,  # an untrained model learns from a stand-in
    )
    console = SafeConsole(stderr=True, quiet=not progress)

    def session(of: ProfileSettings, store: Path | None) -> ProfileSession:
        from sparsebench.execution.profile_runs.session import ProfileSession
        from sparsebench.results.profiles import ProfileStore

        return ProfileSession(
            settings=of,
            store=ProfileStore(store),
            fresh=fresh,
            command=command,
            report=lambda title: console.print(title, style="dim"),
        )

    kept = None if output is None else Path(output)
    if any(Path(each).is_dir() for each in targets):
        return _deployed(targets, changes, session, kept)
    return _untrained(targets, changes, session, kept)


def _deployed(
    targets: Sequence[str | Path],
    changes: Overrides,
    session: OpenSession,
    output: Path | None,
) -> Profiles:
    """Measure deployed folders; their results stay beside them unless another place is named."""
    from sparsebench.execution.profile_runs.conditions import complete_settings
    from sparsebench.execution.profile_runs.profiled_models import deployed_model
    from sparsebench.suite.files import profile_settings

    folders = [Path(each) for each in targets]
    if not all(folder.is_dir() for folder in folders) or changes.models or changes.methods:
        raise UserError("name deployed folders, or else a suite or --models: not both")
    settings = complete_settings(profile_settings(changes.profile, changes.sets))
    _prepare(settings)
    results: list[ProfileResult] = []
    for folder in folders:
        subject = deployed_model(folder)
        beside = subject.folder.parent / "costs" if subject.result else None
        results += session(settings, output or beside).rows(subject)
    return Profiles(tuple(results))


def _untrained(
    targets: Sequence[str | Path],
    changes: Overrides,
    session: OpenSession,
    output: Path | None,
) -> Profiles:
    """Measure methods on untrained backbones."""
    from sparsebench.execution.profile_runs.break_even_table import break_even_table
    from sparsebench.execution.profile_runs.conditions import complete_settings
    from sparsebench.execution.profile_runs.profiled_models import untrained_models

    suite = _suite(targets, changes)
    settings = complete_settings(suite.profile, suite.costs)
    _prepare(settings)
    opened, subjects = session(settings, output), untrained_models(suite)
    results = tuple(row for subject in subjects for row in opened.rows(subject))
    if not settings.break_even:
        return Profiles(results)
    found = break_even_table(subjects, settings, store=opened.store, report=opened.report)
    return Profiles(results, tuple(found))


def _suite(targets: Sequence[str | Path], changes: Overrides) -> Suite:
    from sparsebench.errors.problems import raise_errors
    from sparsebench.suite.files import find_suite, read_suite, suite_of
    from sparsebench.suite.validation import problems

    if len(targets) > 1:
        raise UserError(f"{targets[1]}: name one suite, or folders of deployed models")
    if targets:
        suite_file = read_suite(find_suite(str(targets[0])), changes)
    elif changes.models and changes.methods:
        suite_file = suite_of(changes)
    else:
        raise UserError("name a suite, or a deployed folder, or --models and --methods")
    raise_errors(problems(suite_file, teachers=False))
    return suite_file.suite


def _prepare(settings: ProfileSettings) -> None:
    """Set the number of threads, and keep the library quiet about untrained heads."""
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
