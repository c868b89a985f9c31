"""The plan of a suite: for each of its runs, whether it is cached, to run or to skip."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from sparsebench.errors import UserError
from sparsebench.execution.job import Job, TeacherModel
from sparsebench.execution.planned import Cell, PlannedRun, PlanState, has_model, order_teachers
from sparsebench.execution.teachers import teacher_folder
from sparsebench.method_registry import configure, refusal
from sparsebench.models import GENERATING, Form, model_source
from sparsebench.results.records import RunResult, Status, TeacherRecord
from sparsebench.schema.spec import MethodChoice, RunSpec, TeacherChoice, TuningRecord
from sparsebench.schema.training import Protocol
from sparsebench.suite import cells, training_for
from sparsebench.suite.teachers import teacher_fingerprint, teacher_source
from sparsebench.tasks import TASKS, DataSource, MissingDataError, NotApplicableError
from sparsebench.tasks.loading import load_data

if TYPE_CHECKING:
    from collections.abc import Callable

    from sparsebench.models import ModelSource
    from sparsebench.results.store import Store
    from sparsebench.suite import Suite

__all__ = ["PlanState", "PlannedRun", "RerunPolicy", "check_plan", "plan"]

ABSENT = "absent"
"""The data fingerprint of runs whose data is missing."""


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
    """Resolve every run of a suite, and look up which have a result; teachers come before students.

    Raises:
        UserError: A task, model or method is unknown, a method's settings are wrong, or teachers
            form a circle.
    """
    planner = _Planner(
        suite, store, data, rerun or RerunPolicy(), keep_model=keep_model, command=command
    )
    for cell in cells(suite):
        planner.add(Cell(*cell))
    return order_teachers(planner.planned, teacher_cells=planner.teacher_cells)


class _Planner:
    """Plans the runs of a suite one by one."""

    def __init__(
        self,
        suite: Suite,
        store: Store,
        data: DataSource,
        rerun: RerunPolicy,
        *,
        keep_model: bool,
        command: str,
    ) -> None:
        self._suite, self._store, self._data, self._rerun = suite, store, data, rerun
        self._keep_model, self._command = keep_model, command
        self._source = cache(model_source)
        self._look_up = cache(lambda task: _look_up(task, data))
        self._teacher_source = cache(lambda name: teacher_source(name, rows=suite.methods))
        self.planned: dict[Cell, PlannedRun] = {}
        self.teacher_cells: dict[Cell, Cell] = {}

    def add(self, cell: Cell, *students: str) -> PlannedRun:
        """Plan a run, after its teacher."""
        if cell in self.planned:
            return self.planned[cell]
        if cell.label in students:
            chain = " learns from ".join((*students[students.index(cell.label) :], cell.label))
            raise UserError(f"the teachers form a circle: {chain}")
        entry = self._suite.methods[cell.label]
        name = configure(entry.method or cell.label, entry.settings).teacher_name
        choice, teacher = None, None
        if name in self._suite.methods:
            self.teacher_cells[cell] = above = replace(cell, label=name)
            job = self.add(above, *students, cell.label).job
            choice = TeacherChoice(name=name, row=True, fingerprint=job.key)
            teacher = TeacherModel(str(teacher_folder(job)), run=job)
        elif name is not None:
            key = teacher_fingerprint(self._teacher_source(name))
            choice = TeacherChoice(name=name, row=False, fingerprint=key)
            teacher = TeacherModel(name, record=TeacherRecord(name=name, key=key))
        self.planned[cell] = planned = self._run(cell, choice, teacher)
        return planned

    def _run(
        self, cell: Cell, choice: TeacherChoice | None, teacher: TeacherModel | None
    ) -> PlannedRun:
        suite, store = self._suite, self._store
        source, found = self._source(cell.model), self._look_up(cell.task)
        spec = _spec(suite, cell, source=source, found=found).model_copy(update={"teacher": choice})
        job = Job(
            spec=spec,
            suite=suite.name,
            model=cell.model,
            data=self._data,
            costs=suite.costs,
            store=store.root.absolute(),
            keep_model=self._keep_model,
            command=self._command,
            tuned=_tuned(suite, cell.label),
            limits=suite.limits,
            replaces=store.stamp(spec),
            teacher=teacher,
            notes=_notes(suite, cell.label),
        )
        return _cell(job, source=source, found=found, find=store.find, rerun=self._rerun)


def _notes(suite: Suite, label: str) -> tuple[str, ...]:
    """Return the remark that a row has no settings for this suite, if so."""
    if suite.methods[label].settings or label in suite.tuned:
        return ()
    return ("default settings: the suite has none for it",)


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
    rerun: RerunPolicy,
) -> PlannedRun:
    reason = found.missing or _obstacle(job.spec, source)
    if reason:
        return PlannedRun(job, PlanState.SKIP, reason=reason)
    result = find(job.spec)
    done = (
        result
        and result.status is not Status.SKIPPED
        and not rerun.applies(result)
        and (has_model(result) or not job.keep_model)
    )
    state = PlanState.CACHED if done else PlanState.RUN
    return PlannedRun(job, state, examples=found.examples, cached=result if done else None)


def _spec(suite: Suite, cell: Cell, *, source: ModelSource, found: _TaskData) -> RunSpec:
    task, label = cell.task, cell.label
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
        seed=cell.seed,
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
