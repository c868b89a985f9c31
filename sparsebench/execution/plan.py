"""What a suite asks for, cell by cell: what is there, what is to run, what makes no sense."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from sparsebench.errors import UserError
from sparsebench.execution.job import Job
from sparsebench.method_registry import configure
from sparsebench.models import GENERATING, model_source
from sparsebench.results.records import RunResult, Status
from sparsebench.schema.spec import MethodChoice, RunSpec, TuningRecord
from sparsebench.schema.training import Protocol
from sparsebench.suite import cells, training_for
from sparsebench.tasks import TASKS, DataSource, MissingDataError, NotApplicableError
from sparsebench.tasks.loading import load_data

if TYPE_CHECKING:
    from collections.abc import Callable

    from sparsebench.models import ModelSource
    from sparsebench.results.store import Store
    from sparsebench.suite import Suite

ABSENT = "absent"
"""The data fingerprint of runs whose data is not there."""


class PlanState(StrEnum):
    """What is to be done about a cell."""

    CACHED = "cached"
    """Its result is there."""

    RUN = "run"
    """It is to be run."""

    SKIP = "skip"
    """It cannot be run, for a reason that its row will tell."""


@dataclass(frozen=True)
class PlannedRun:
    """One run that a suite asks for.

    Attributes:
        job: What to run.
        state: What is to be done about it.
        reason: Why it is skipped, if it is.
        examples: Training examples, of runs that are not skipped.
        cached: The result that is there already, if one is.
    """

    job: Job
    state: PlanState
    reason: str | None = None
    examples: int = 0
    cached: RunResult | None = None

    @property
    def skipped(self) -> RunResult:
        """The row of a run that is not tried."""
        job = self.job
        return RunResult(
            key=job.key, suite=job.suite, spec=job.spec, status=Status.SKIPPED, reason=self.reason
        )

    @property
    def steps(self) -> int:
        """Optimizer steps of the run."""
        training = self.job.spec.training
        return training.budget.steps(examples=self.examples, batch_size=training.batch_size)


@dataclass(frozen=True)
class RerunPolicy:
    """Which results that are there already are made again.

    Attributes:
        failed: Those without a score.
        fresh: All.
    """

    failed: bool = False
    fresh: bool = False

    def applies(self, result: RunResult) -> bool:
        """Whether the run of this result is made again."""
        return self.fresh or (self.failed and result.status is not Status.OK)


@dataclass(frozen=True)
class _Data:
    fingerprint: str
    examples: int
    missing: str | None = None


def plan(
    suite: Suite,
    *,
    store: Store,
    data: DataSource,
    rerun: RerunPolicy | None = None,
    keep_model: bool = False,
    command: str = "",
) -> list[PlannedRun]:
    """Resolves every cell of a suite, and looks up which are done.

    Raises:
        UserError: A task, model or method is unknown, or a method's settings are wrong.
    """
    source_of = cache(model_source)
    look_up = cache(lambda task: _look_up(task, data))
    planned = []
    for task, model, label, seed in cells(suite):
        source, found = source_of(model), look_up(task)
        spec = _spec(suite, task=task, source=source, label=label, seed=seed, found=found)
        job = Job(
            spec=spec,
            suite=suite.name,
            model=model,
            data=data,
            costs=suite.costs,
            store=store.root.absolute(),
            keep_model=keep_model,
            command=command,
            tuned=_tuned(suite, label),
            limits=suite.limits,
            replaces=store.stamp(spec),
        )
        planned.append(_cell(job, source=source, found=found, find=store.find, rerun=rerun))
    return planned


def _tuned(suite: Suite, label: str) -> TuningRecord | None:
    """Returns the record of the search that a method's settings are from, if they still are."""
    tuned, settings = suite.tuned.get(label), suite.methods[label].settings
    if tuned is None:
        return None
    chosen = tuned.trials[tuned.chosen].settings
    return tuned if all(settings.get(key) == value for key, value in chosen.items()) else None


def _cell(
    job: Job,
    *,
    source: ModelSource,
    found: _Data,
    find: Callable[[RunSpec], RunResult | None],
    rerun: RerunPolicy | None,
) -> PlannedRun:
    reason = found.missing or _obstacle(job.spec, source)
    if reason:
        return PlannedRun(job, PlanState.SKIP, reason=reason)
    result = find(job.spec)
    done = (
        result
        and result.status is not Status.SKIPPED
        and not (rerun or RerunPolicy()).applies(result)
        and (_has_model(result) or not job.keep_model)
    )
    state = PlanState.CACHED if done else PlanState.RUN
    return PlannedRun(job, state, examples=found.examples, cached=result if done else None)


def _has_model(result: RunResult) -> bool:
    """Whether the deployed model is kept beside a result; one without a score has none to keep."""
    return result.status is not Status.OK or any(f.startswith("deployed/") for f in result.files)


def _spec(
    suite: Suite, *, task: str, source: ModelSource, label: str, seed: int, found: _Data
) -> RunSpec:
    entry = suite.methods[label]
    name = entry.method or label
    method = configure(name, entry.settings)
    return RunSpec(
        task=task,
        task_version=TASKS.get(task).version,
        model=source.name,
        model_fingerprint=source.fingerprint,
        method=MethodChoice(
            label=label,
            name=name,
            version=method.version,
            settings=method.config.model_dump(mode="json"),
        ),
        seed=seed,
        protocol=suite.protocol,
        training=training_for(suite, task),
        held_out=None if suite.protocol is Protocol.LAST else suite.held_out,
        generation=suite.generation if _generates(task, source) else None,
        data_fingerprint=found.fingerprint,
    )


def _generates(task: str, source: ModelSource) -> bool:
    """Whether the backbone answers the task by writing text."""
    try:
        return TASKS.get(task).form_for(source.family) in GENERATING
    except NotApplicableError:
        return False


def _obstacle(spec: RunSpec, source: ModelSource) -> str | None:
    """Returns why a combination of task, model and method makes no sense, if so."""
    try:
        form = TASKS.get(spec.task).form_for(source.family)
    except NotApplicableError as error:
        return str(error)
    if source.name.startswith("random:"):
        return f"{source.name} has no tokenizer and no pretrained weights: it is for costs alone"
    method = configure(spec.method.name, spec.method.settings)
    try:
        return method.refuses(source.family, form)
    except Exception:  # noqa: BLE001 - a method may fail in any way: its run will tell how
        return None


def _look_up(task: str, data: DataSource) -> _Data:
    try:
        loaded = load_data(task, data)
    except MissingDataError as error:
        return _Data(ABSENT, 0, missing=str(error))
    return _Data(loaded.fingerprint, len(loaded.train))


def check_plan(planned: list[PlannedRun]) -> None:
    """Refuses a plan in which nothing can run.

    Raises:
        UserError: Every cell is skipped.
    """
    if planned and all(cell.state is PlanState.SKIP for cell in planned):
        reasons = list(dict.fromkeys(str(cell.reason) for cell in planned))
        raise UserError("nothing can run:\n" + "\n".join(f"  {reason}" for reason in reasons))
