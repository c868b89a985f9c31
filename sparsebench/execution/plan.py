"""The plan of a suite: for each of its runs, whether it is cached, to run or to skip."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from sparsebench.errors import UserError
from sparsebench.execution.job import Job
from sparsebench.method_registry import configure, refusal
from sparsebench.models import GENERATING, Form, model_source
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
"""The data fingerprint of runs whose data is missing."""


class PlanState(StrEnum):
    """Whether a planned run is executed."""

    CACHED = "cached"
    """Its result exists."""

    RUN = "run"
    """It is executed."""

    SKIP = "skip"
    """It cannot run, for a reason that its row states."""


@dataclass(frozen=True)
class PlannedRun:
    """One run that a suite asks for.

    Attributes:
        job: The run.
        state: Whether it is executed.
        reason: Why it is skipped, if it is.
        examples: Number of training examples, if it is not skipped.
        cached: Its result, if it is cached.
    """

    job: Job
    state: PlanState
    reason: str | None = None
    examples: int = 0
    cached: RunResult | None = None

    @property
    def skipped(self) -> RunResult:
        """The row of a run that is skipped."""
        job = self.job
        return RunResult(
            key=job.key, suite=job.suite, spec=job.spec, status=Status.SKIPPED, reason=self.reason
        )

    @property
    def steps(self) -> int:
        """Number of optimizer steps of the run."""
        training = self.job.spec.training
        return training.budget.steps(examples=self.examples, batch_size=training.batch_size)


@dataclass(frozen=True)
class RerunPolicy:
    """Which runs to execute again although they have a result.

    Attributes:
        failed: Those whose result has no score.
        fresh: All of them.
    """

    failed: bool = False
    fresh: bool = False

    def applies(self, result: RunResult) -> bool:
        """Whether to execute the run of this result again."""
        return self.fresh or (self.failed and result.status is not Status.OK)


@dataclass(frozen=True)
class _TaskData:
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
    """Resolve every run of a suite, and look up which have a result.

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
    """Return the record of the search for a method's settings, unless they were changed since."""
    tuned, settings = suite.tuned.get(label), suite.methods[label].settings
    if tuned is None:
        return None
    chosen = tuned.trials[tuned.chosen].settings
    return tuned if all(settings.get(key) == value for key, value in chosen.items()) else None


def _cell(
    job: Job,
    *,
    source: ModelSource,
    found: _TaskData,
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
    """Whether the deployed model lies beside a result; a run without a score has none."""
    return result.status is not Status.OK or any(f.startswith("deployed/") for f in result.files)


def _spec(
    suite: Suite, *, task: str, source: ModelSource, label: str, seed: int, found: _TaskData
) -> RunSpec:
    entry = suite.methods[label]
    name = entry.method or label
    method = configure(name, entry.settings)
    return RunSpec(
        task=task,
        task_version=TASKS.get(task).version,
        model=source.name,
        model_fingerprint=source.fingerprint,
        pooler="head"
        if _form(task, source) is Form.CLASSIFICATION and source.untrained_pooler
        else None,
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
        generation=suite.generation if _form(task, source) in GENERATING else None,
        data_fingerprint=found.fingerprint,
    )


def _form(task: str, source: ModelSource) -> Form | None:
    """Return how the backbone solves the task; None if it does not apply to its family."""
    try:
        return TASKS.get(task).form_for(source.family)
    except NotApplicableError:
        return None


def _obstacle(spec: RunSpec, source: ModelSource) -> str | None:
    """Return why a combination of task, model and method cannot run; None if it can."""
    try:
        form = TASKS.get(spec.task).form_for(source.family)
    except NotApplicableError as error:
        return str(error)
    if source.name.startswith("random:"):
        return f"{source.name} has no tokenizer and no pretrained weights: 'profile' alone takes it"
    method = configure(spec.method.name, spec.method.settings)
    try:
        return refusal(method, source.family, form)
    except UserError:
        return None  # the run raises it again, and reports it


def _look_up(task: str, data: DataSource) -> _TaskData:
    try:
        loaded = load_data(task, data)
    except MissingDataError as error:
        return _TaskData(ABSENT, 0, missing=str(error))
    return _TaskData(loaded.fingerprint, len(loaded.train))


def check_plan(planned: list[PlannedRun]) -> None:
    """Refuse a plan in which nothing can run.

    Raises:
        UserError: Every run is skipped.
    """
    if planned and all(each.state is PlanState.SKIP for each in planned):
        reasons = list(dict.fromkeys(str(each.reason) for each in planned))
        raise UserError("nothing can run:\n" + "\n".join(f"  {reason}" for reason in reasons))
