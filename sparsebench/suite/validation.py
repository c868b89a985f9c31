"""Checking a suite before training: every name, setting, backbone and data file, in one pass.

Mistakes in the file itself were found when it was read; this module compares the suite with the
installed plugins and the files on disk.
"""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sparsebench.errors import UserError, one_line
from sparsebench.errors.problems import Problem, Severity, in_order, located
from sparsebench.method_registry import METHODS, refusal, setting_faults
from sparsebench.models import Family, model_source
from sparsebench.models.sources import RandomSource, UnreachableHubError, quick_backbones
from sparsebench.suite.teachers import teacher_chain, teacher_source
from sparsebench.tasks import TASKS, MissingDataError, NotApplicableError
from sparsebench.tasks.loading import load_data

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from sparsebench.errors.problems import KeyPath
    from sparsebench.method import Method
    from sparsebench.models import Form, ModelSource
    from sparsebench.suite.files import SuiteFile
    from sparsebench.tasks import DataSource, Task


def problems(
    suite_file: SuiteFile,
    *,
    data: DataSource | None = None,
    teachers: bool = True,
    recipes: bool = False,
) -> list[Problem]:
    """Return all problems of a suite, in the order of its lines.

    Args:
        suite_file: The suite.
        data: The source of the data of its tasks, to read all of it; None to skip this check.
        teachers: Whether to check teachers, which measuring costs does without.
        recipes: Whether to check recipes, for which their methods are imported.
    """
    check = _Check(suite_file, list(suite_file.problems))
    check.repeats("seeds", suite_file.suite.seeds)
    check.runtimes()
    tasks = check.tasks()
    methods = check.methods()
    if recipes:
        check.recipes()
    check.pairs(methods, tasks, check.models())
    if teachers:
        check.teachers(methods)
    check.tuning()
    if data is not None:
        check.data(tasks, data)
    return in_order(check.found)


@dataclass
class _Check:
    """One pass over a suite.

    Attributes:
        file: The suite.
        found: The problems so far.
    """

    file: SuiteFile
    found: list[Problem] = field(default_factory=list)

    def error(self, path: KeyPath, message: str) -> None:
        self.found.append(Problem(Severity.ERROR, self.file.where(*path), message))

    def note(self, path: KeyPath, message: str) -> None:
        self.found.append(Problem(Severity.NOTE, self.file.where(*path), message))

    def methods(self) -> dict[str, Method]:
        """Check the methods and their settings; return the valid ones by label."""
        valid = {}
        for label in self.file.suite.methods:
            method = self._method(label, section="methods")
            if method is not None:
                valid[label] = method
        return valid

    def recipes(self) -> None:
        """Check the methods of the recipes and their settings."""
        for label in self.file.suite.recipes:
            self._method(label, section="recipes")

    def _method(self, label: str, *, section: str) -> Method | None:
        entry, path = getattr(self.file.suite, section)[label], (section, label)
        near = difflib.get_close_matches("method", entry.settings, n=1)
        if entry.method is None and label not in METHODS and near:
            self.error((*path, near[0]), f"unknown key {near[0]!r}; did you mean 'method'?")
            return None
        try:
            method = METHODS.get(entry.method or label)
        except UserError as error:
            self.error((*path, "method"), f"{section}.{label}: {error}")
            return None
        faults = setting_faults(method, entry.settings)
        for inner, message in faults:
            self.error((*path, *inner), located((*path, *inner), message))
        if faults:
            return None
        try:
            return method(method.Config.model_validate(entry.settings))
        except Exception as error:  # noqa: BLE001 - a plugin may fail in any way
            self.error(path, f"{section}.{label}: {one_line(error)}")
        return None

    def teachers(self, methods: dict[str, Method]) -> None:
        """Check that every teacher is a row, a folder or a Hub id, and that none is in a circle."""
        teachers = {label: method.teacher_name for label, method in methods.items()}
        for label, name in teachers.items():
            chain = teacher_chain(label, teachers)
            path = ("methods", label, "teacher")
            if name is None or (name in self.file.suite.methods and chain[-1] != label):
                continue
            if chain[-1] == label and len(chain) > 1:
                circle = " learns from ".join(chain)
                self.error(path, f"{'.'.join(path)}: the teachers form a circle: {circle}")
                continue
            try:
                teacher_source(name, rows=(*self.file.suite.methods, *METHODS)).check()
            except UnreachableHubError as error:
                self.note(path, f"{'.'.join(path)}: not checked: {error}")
            except UserError as error:
                self.error(path, f"{'.'.join(path)}: {error}")

    def tuning(self) -> None:
        """Check that every method has a search over settings that exist."""
        suite, tuning = self.file.suite, self.file.suite.tuning
        if tuning is None:
            return
        for name in tuning.tasks:
            if name not in TASKS:
                self.error(("tuning", "tasks"), f"tuning.tasks: unknown task {name!r}")
        for label, entry in suite.methods.items():
            path, name = ("tuning", "search", label), entry.method or label
            if label not in tuning.search:
                self.note(("tuning", "search"), f"{label} has no search, so it cannot be tuned")
                continue
            if name not in METHODS:
                continue
            for key, values in tuning.search[label].items():
                for value in values:
                    settings = {**entry.settings, key: value}
                    faults = setting_faults(METHODS.get(name), settings)
                    for message in [text for inner, text in faults if inner[:1] == (key,)]:
                        self.error((*path, key), f"{'.'.join(path)}.{key}: {message}")

    def tasks(self) -> dict[str, Task]:
        """Check the names of the tasks; return the registered ones."""
        known = {}
        for name in self.file.suite.tasks:
            try:
                known[name] = TASKS.get(name)
            except UserError as error:
                self.error(("tasks", name), f"tasks: {error}")
        return known

    def models(self) -> dict[str, Family | None]:
        """Check the backbones; return the families of the known ones, None for random weights."""
        self.repeats("models", self.file.suite.models)
        families: dict[str, Family | None] = {}
        for index, spec in enumerate(self.file.suite.models):
            try:
                source = model_source(spec)
                if isinstance(source, RandomSource):
                    families[spec] = None
                    if self.file.suite.tasks:
                        self.note(
                            ("models", index),
                            f"{spec} is for costs only: its runs are skipped",
                        )
                else:
                    families[spec] = source.family
                    source.check()
                    self._lengths(source)
            except UnreachableHubError as error:
                quick = quick_backbones()
                near = difflib.get_close_matches(spec, quick, n=1, cutoff=0.8)
                if near:
                    self.error(("models", index), f"{error}; did you mean {near[0]!r}?")
                else:
                    self.note(("models", index), f"not checked: {error}")
            except UserError as error:
                self.error(("models", index), str(error))
        return families

    def _lengths(self, source: ModelSource) -> None:
        """Find inputs that are longer than a backbone accepts."""
        positions, suite = source.positions, self.file.suite
        if positions is None:
            return
        limit = f"{source.spec} accepts at most {positions} tokens"
        if suite.tasks and suite.costs.length > positions:
            asked = f"not {suite.costs.length}"
            if "length" not in suite.costs.model_fields_set:
                asked += f", the default: write costs: {{ length: {positions} }}"
            self.error(("costs", "length"), f"costs.length: {limit}, {asked}")
        if suite.training.max_length > positions:
            self.note(("training", "max_length"), f"{limit}: longer inputs will fail")
        for name, entry in suite.tasks.items():
            if (entry.max_length or 0) > positions:
                self.note(("tasks", name, "max_length"), f"{limit}: longer inputs will fail")

    def runtimes(self) -> None:
        """Check the names of the runtimes."""
        if self.file.suite.profile is None:
            return
        from sparsebench.profiling.runtimes import RUNTIMES

        for index, name in enumerate(self.file.suite.profile.runtimes):
            try:
                RUNTIMES.get(name)
            except UserError as error:
                self.error(("profile", "runtimes", index), f"profile.runtimes: {error}")

    def repeats(self, section: str, values: Sequence[Hashable]) -> None:
        """Find repeated values of a list."""
        for value, count in Counter(values).items():
            if count > 1:
                self.error((section, len(values) - 1), f"{section}: {value!r} is repeated")

    def pairs(
        self, methods: dict[str, Method], tasks: dict[str, Task], models: dict[str, Family | None]
    ) -> None:
        """Find combinations that will be skipped, and methods and tasks that have no other."""
        families = [family for family in dict.fromkeys(models.values()) if family]
        forms = {family: self._forms(family, tasks) for family in families}
        all_known = bool(models) and set(models) == set(self.file.suite.models)
        for name in tasks:
            if all_known and not any(name in of for of in forms.values()):
                self.error(("tasks", name), f"{name}: no backbone of the suite supports this task")
        for label, method in methods.items():
            pairs = {(family, form) for family, of in forms.items() for form in of.values()}
            refused = self._refused(label, method, pairs)
            for (family, form), reason in refused.items():
                message = (
                    f"{label} does not support {family} for {form}: {reason}; such runs are skipped"
                )
                self.note(("methods", label), message)
            if all_known and pairs and set(refused) == pairs:
                self.error(("methods", label), f"{label}: supports no backbone of the suite")

    def _refused(
        self, label: str, method: Method, pairs: set[tuple[Family, Form]]
    ) -> dict[tuple[Family, Form], str]:
        """Return the pairs that a method refuses, each with its reason."""
        refused = {}
        for pair in sorted(pairs):
            try:
                reason = refusal(method, *pair)
            except UserError as error:
                self.note(("methods", label), f"{label}: {error}; its runs report the error")
                break
            if reason:
                refused[pair] = reason
        return refused

    def _forms(self, family: Family, tasks: dict[str, Task]) -> dict[str, Form]:
        """Return the form of a family's output for each task that it supports."""
        forms = {}
        for name, task in tasks.items():
            try:
                forms[name] = task.form_for(family)
            except NotApplicableError as error:
                self.note(("tasks", name), f"{error}; such runs are skipped")
        return forms

    def data(self, tasks: dict[str, Task], source: DataSource) -> None:
        """Read the data of every task; of a group that the Hub does not provide, only the first."""
        unread: dict[str, list[str]] = {}  # group -> the reason and the tasks
        for name, task in tasks.items():
            if task.group in unread:
                unread[task.group].append(name)
                continue
            try:
                load_data(name, source)
            except UserError as error:
                if isinstance(error, MissingDataError) and source.folder is None:
                    unread[task.group] = [str(error), name]
                else:
                    self.error(("tasks", name), str(error))
            except Exception as error:  # noqa: BLE001 - a plugin may fail in any way
                self.error(("tasks", name), f"{name}: {one_line(error)}")
        for reason, first, *others in unread.values():
            alike = f" (nor {', '.join(others)})" if others else ""
            self.note(("tasks", first), f"not checked{alike}: {reason}")
