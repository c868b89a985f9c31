"""The validated content of a suite; a suite describes many runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from sparsebench.schema.base import FrozenModel
from sparsebench.schema.limits import Limits
from sparsebench.schema.measuring import CostSettings, ProfileSettings
from sparsebench.schema.spec import TuningRecord
from sparsebench.schema.training import (
    GenerationSettings,
    HeldOut,
    Protocol,
    Training,
    WrittenBudget,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

RESERVED = ("training", "costs", "held_out", "generation", "profile", "tuning", "limits")
"""Sections of a suite that ``--set`` can change; a method cannot have such a label."""


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


def _read_name(text: str) -> str:
    if _NAME.fullmatch(text):
        return text
    near = re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-._+")
    hint = f"; did you mean {near!r}?" if near else ""
    raise ValueError(
        f"{text!r} is not a name: a name begins with a letter or a digit, followed by letters, "
        f"digits, '.', '_', '+' or '-'{hint}"
    )


Name = Annotated[str, Field(max_length=80), AfterValidator(_read_name)]
"""A name that is safe in a path and in a table."""


class TaskEntry(FrozenModel):
    """The settings of a single task."""

    budget: WrittenBudget | None = None
    """The budget of every method on this task, as in ``training``; null for the suite's."""

    max_length: int | None = Field(default=None, ge=8)
    """The maximum number of input tokens on this task; null for the suite's."""


class MethodEntry(FrozenModel):
    """One row of the comparison: a method with its settings.

    Every other key than ``method`` is a setting of the method, which validates it.
    """

    model_config = ConfigDict(extra="allow")

    method: str | None = None
    """The name of the method in ``sparsebench list methods``; null if the label is the name."""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that the suite gives to the method."""
        return dict(self.model_extra or {})


class Tuning(FrozenModel):
    """A search for settings with the same number of search trials for every method.

    ``sparsebench tune`` runs the search trials under ``protocol: held-out``, so that no choice
    depends on a reported score.
    """

    trials: int = Field(ge=1)
    """Search trials of every method."""

    tasks: tuple[Name, ...] = Field(min_length=1)
    """The tasks to tune on; the suite need not contain them."""

    search: dict[Name, dict[str, tuple[Any, ...]]]
    """Label of a method -> setting -> values to try. If there are more combinations than search
    trials, they are drawn at random with ``seed``."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    """The seed for drawing search trials, and of their runs."""

    budget: WrittenBudget | None = None
    """The budget of a search trial; null for that of the task."""

    extensions: int = Field(default=0, ge=0)
    """Further search trials of a method whose best value is the lowest or the highest one that was
    tried: each continues the values in that direction, until the best one lies between others. It
    is for searches of one number per method."""


def entries(value: object) -> object:
    """Convert a list of names to a mapping of names to empty entries.

    Raises:
        ValueError: The list contains anything but names.
    """
    if isinstance(value, (list, tuple)):
        if not all(isinstance(name, str) for name in value):
            raise ValueError(
                "a list can contain only names: for settings, write NAME: {KEY: VALUE}"
            )
        return {name: {} for name in value}
    if isinstance(value, dict):
        return {name: {} if entry is None else entry for name, entry in value.items()}
    return value


class Suite(FrozenModel):
    """The tasks, models, methods and seeds of a comparison, and its terms."""

    name: Name
    """The name of the suite in results and leaderboards."""

    description: str = ""
    """One line for ``sparsebench list suites``."""

    tasks: Annotated[dict[Name, TaskEntry], BeforeValidator(entries)] = Field(
        default={}, min_length=1
    )
    """Tasks by name, or a list of names; optional with the section ``profile``."""

    models: tuple[str, ...] = Field(min_length=1)
    """Backbones: Hub ids, ``quick/FAMILY``, or folders relative to the current folder."""

    methods: Annotated[dict[Name, MethodEntry], BeforeValidator(entries)] = Field(min_length=1)
    """Methods by label with their settings, or a list of names."""

    recipes: Annotated[dict[Name, MethodEntry], BeforeValidator(entries)] = Field(
        default_factory=dict
    )
    """Settings of further methods, by label; such a row runs only when ``--methods`` names it, or
    as the teacher of another."""

    seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] = Field(default=(1,), min_length=1)
    """Seeds; one run for each."""

    protocol: Protocol = Protocol.LAST
    """The weights that are reported."""

    training: Training = Training()
    """The terms of training, the same for every method."""

    held_out: HeldOut = HeldOut()
    """How a checkpoint is selected, under the protocols that select one."""

    generation: GenerationSettings | None = None
    """How text is generated, in tasks that generate text; null for greedy."""

    costs: CostSettings = CostSettings()
    """The shapes for measuring the costs of trained models."""

    limits: Limits = Limits()
    """The time and memory after which a run is stopped."""

    tuning: Tuning | None = None
    """The search for settings by ``sparsebench tune``; null for none."""

    tuned: dict[Name, TuningRecord] = Field(default_factory=dict)
    """The result of a search, written by ``sparsebench tune``: label -> its search trials."""

    profile: ProfileSettings | None = None
    """The measurements of ``sparsebench profile``; null for the defaults."""

    revision: str | None = None
    """The Hub revision of the data; null for the newest."""

    @model_validator(mode="after")
    def _labels_are_free(self) -> Suite:
        for label in (*self.methods, *self.recipes):
            if label in RESERVED:
                raise ValueError(
                    f"a method cannot have the label {label!r}, which is the name of a section"
                )
        return self


SECTIONS: dict[str, type[FrozenModel]] = {
    "suite": Suite,
    "tasks": TaskEntry,
    "methods": MethodEntry,
    "training": Training,
    "held_out": HeldOut,
    "generation": GenerationSettings,
    "costs": CostSettings,
    "limits": Limits,
    "tuning": Tuning,
    "profile": ProfileSettings,
}
"""The models that define the keys of a suite: of the top level, of entries, of sections."""


def cells(suite: Suite) -> Iterator[tuple[str, str, str, int]]:
    """Yield (task, model, method label, seed) for every run of a suite, in order of execution."""
    for model in suite.models:
        for task in suite.tasks:
            for seed in suite.seeds:
                for label in suite.methods:
                    yield task, model, label, seed


def training_for(suite: Suite, task: str) -> Training:
    """Return the terms of training on a task: the suite's, with the task's own settings."""
    own = suite.tasks[task].model_dump(exclude_none=True)
    return Training.model_validate({**suite.training.model_dump(), **own})
