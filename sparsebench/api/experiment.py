"""A suite with its data and its results folder: planned, run, and read."""

from __future__ import annotations

import sys
import types
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sparsebench.api.console import SafeConsole
from sparsebench.api.overrides import overrides
from sparsebench.api.results import Results, Warn, emit_warning
from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from sparsebench.api.overrides import Names
    from sparsebench.execution.executors import Executor
    from sparsebench.execution.plan import PlannedRun
    from sparsebench.results.store import Store
    from sparsebench.suite import Suite
    from sparsebench.suite.overrides import Overrides
    from sparsebench.tasks import DataSource

RUNS = Path("runs")
"""The results folder if none is given."""


@dataclass(frozen=True)
class Experiment:
    """A valid suite, the source of its data, and the folder of its results.

    Attributes:
        suite: The suite, with every change of the caller.
        data: Where its data comes from.
        store: The results folder.
    """

    suite: Suite
    data: DataSource
    store: Store

    @classmethod
    def load(
        cls,
        suite: str | Path,
        changes: Overrides | None = None,
        *,
        data: Path | None = None,
        output: Path = RUNS,
        time_limit: str | None = None,
        memory_limit: str | None = None,
    ) -> Experiment:
        """Load and validate a suite.

        Args:
            suite: A YAML file, or the name of a suite that comes with the package.
            changes: Changes to the suite, from ``overrides``.
            data: A folder with the data in the official formats; None for the Hub.
            output: The results folder.
            time_limit: The longest that a run may last, such as ``"2 h"``.
            memory_limit: The most memory that a run may use, such as ``"4 GiB"``.

        Raises:
            UserError: The suite or a change is wrong; the message has a line for every mistake.
        """
        from sparsebench.errors.problems import raise_errors
        from sparsebench.results.store import Store
        from sparsebench.suite.files import find_suite, read_suite
        from sparsebench.suite.validation import problems
        from sparsebench.tasks import DataSource

        limits = {"time": time_limit, "memory": memory_limit}
        given = {key: value for key, value in limits.items() if value is not None}
        suite_file = read_suite(
            find_suite(str(suite)), replace(changes or overrides(), limits=given)
        )
        raise_errors(problems(suite_file))
        if not suite_file.suite.tasks:
            raise UserError(
                f"{suite_file.path}: it has no tasks, only costs: 'sparsebench profile {suite}'"
            )
        source = DataSource(folder=data, revision=suite_file.suite.revision)
        return cls(suite_file.suite, source, Store(output))

    def plan(
        self,
        *,
        retry_failed: bool = False,
        fresh: bool = False,
        keep_models: bool = False,
        command: str = "",
    ) -> list[PlannedRun]:
        """Resolve every run of the suite and look up which are cached.

        Args:
            retry_failed: Whether runs without a score run again.
            fresh: Whether every run runs again.
            keep_models: Whether the deployed models stay beside their results.
            command: The command line, for the record.
        """
        from sparsebench.execution.plan import RerunPolicy, plan

        return plan(
            self.suite,
            store=self.store,
            data=self.data,
            rerun=RerunPolicy(failed=retry_failed, fresh=fresh),
            keep_model=keep_models,
            command=command,
        )

    def run(self, cells: Sequence[PlannedRun], executor: Executor, *, console: Console) -> None:
        """Run what is missing; record what is skipped.

        Args:
            cells: The plan.
            executor: Where to run.
            console: Shows progress: live on a terminal, line by line elsewhere.

        Raises:
            UserError: Nothing can run, it cannot run there, or no result can be written.
        """
        from sparsebench.api.progress import progress
        from sparsebench.execution.plan import PlanState, check_plan

        check_plan(list(cells))
        for cell in cells:
            if cell.state is PlanState.SKIP and cell.skipped != self.store.find(cell.job.spec):
                self.store.write(cell.skipped)
        jobs = [cell.job for cell in cells if cell.state is PlanState.RUN]
        cached = sum(cell.state is PlanState.CACHED for cell in cells)
        if not jobs:
            console.print(f"Nothing to run: the results of all {cached} runs are cached.")
            return
        for note in (*_order_notes(cells), *executor.notes(jobs)):
            console.print(f"note: {note}", soft_wrap=True)
        executor.planned = [cell.job for cell in cells if cell.state is not PlanState.SKIP]
        titles = {job.key: job.spec.title for job in jobs}
        with _without_main(), progress(titles, cached=cached, console=console) as report:
            executor.run(jobs, report)

    def results(self, cells: Sequence[PlannedRun], *, warn: Warn = emit_warning) -> Results:
        """Return the results of a plan's runs, those that exist.

        Args:
            cells: The plan.
            warn: Called with a message for every file that cannot be read.
        """
        found = {}
        for cell in cells:
            run, result = self.store.run(cell.job.spec), self.store.find(cell.job.spec)
            if run and result:
                found[run] = result
        return Results.of(self.store.root, found, warn=warn)


def _order_notes(cells: Sequence[PlannedRun]) -> Iterator[str]:
    """Yield which rows wait for others, since they learn from them."""
    students: dict[str, dict[str, None]] = {}
    for cell in cells:
        if cell.students and cell.cached is None:
            students.setdefault(cell.job.spec.method.label, {}).update(dict.fromkeys(cell.students))
    for teacher, names in students.items():
        verb = "learns" if len(names) == 1 else "learn"
        yield (
            f"{teacher} runs first: {', '.join(names)} {verb} from it, and its deployed models are "
            "kept"
        )


def run(
    suite: str | Path = "quick",
    *,
    methods: Names | None = None,
    models: Names | None = None,
    tasks: Names | None = None,
    seeds: int | Sequence[int] | None = None,
    settings: Mapping[str, object] | None = None,
    budget: str | None = None,
    data: str | Path | None = None,
    offline: str | Path | None = None,
    output: str | Path = RUNS,
    executor: str = "local",
    executor_options: Mapping[str, object] | None = None,
    workers: int | None = None,
    device: str = "auto",
    time_limit: str | None = None,
    memory_limit: str | None = None,
    retry_failed: bool = False,
    fresh: bool = False,
    keep_models: bool = False,
    progress: bool = True,
) -> Results:
    """Run what is missing of a suite; return all its results.

    A cached run is not repeated. A run that fails is a result with its reason and without a score.
    Ctrl-C stops the runs, and the same call resumes them.

    Args:
        suite: A YAML file, or the name of a suite that comes with the package.
        methods: Labels of the suite with their settings, or other methods with their defaults.
        models: Backbones: Hub ids, folders, ``quick/bert`` and alike.
        tasks: Only these tasks.
        seeds: These seeds.
        settings: Changed settings, such as ``{"lora.r": 16, "training.batch_size": 64}``.
        budget: The budget of every run, such as ``"230 steps"`` or ``"3 epochs"``.
        data: A folder with the data in the official formats; None for the Hub.
        offline: A bundle from ``sparsebench fetch``; then no connection is opened.
        output: The results folder.
        executor: The name of an installed executor.
        executor_options: Options of the executor.
        workers: How many runs run at a time; None for the executor's default.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        time_limit: The longest that a run may last, such as ``"2 h"``.
        memory_limit: The most memory that a run may use, such as ``"4 GiB"``.
        retry_failed: Whether runs without a score run again.
        fresh: Whether every run runs again.
        keep_models: Whether the deployed models stay beside their results.
        progress: Whether progress is printed, to the error stream.

    Raises:
        UserError: The suite or an argument is wrong, or nothing can run.
    """
    from sparsebench.execution.executors import EXECUTORS

    if offline:
        go_offline(Path(offline), executor=executor)
    experiment = Experiment.load(
        suite,
        overrides(
            methods=methods,
            models=models,
            tasks=tasks,
            seeds=seeds,
            settings=settings,
            budget=budget,
        ),
        data=None if data is None else Path(data),
        output=Path(output),
        time_limit=time_limit,
        memory_limit=memory_limit,
    )
    opened = EXECUTORS.get(executor)(workers=workers, device=device, options=executor_options)
    cells = experiment.plan(
        retry_failed=retry_failed,
        fresh=fresh,
        keep_models=keep_models,
        command="sparsebench.run(...)",
    )
    experiment.run(cells, opened, console=SafeConsole(stderr=True, quiet=not progress))
    return experiment.results(cells)


def go_offline(bundle: Path, *, executor: str) -> None:
    """Take data and models from a bundle from now on, and open no connection.

    Raises:
        UserError: The bundle cannot be read, or the executor requires connections.
    """
    from sparsebench.models.bundle import use_bundle

    if executor == "ray":
        raise UserError("--offline opens no connection, but the executor 'ray' requires them")
    use_bundle(bundle)


@contextmanager
def _without_main() -> Iterator[None]:
    """Keep the processes of runs from importing the caller's script once more."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
