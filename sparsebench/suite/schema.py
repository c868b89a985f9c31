"""Suites: what is compared, on what terms; a suite stands for many runs."""

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
"""Sections of a suite that ``--set`` reaches by name; no method may be labelled so."""


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


def _read_name(text: str) -> str:
    if _NAME.fullmatch(text):
        return text
    near = re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-._+")
    hint = f"; did you mean {near!r}?" if near else ""
    raise ValueError(
        f"{text!r} is no name: it begins with a letter or a digit and has letters, digits, and "
        f"'.', '_', '+' or '-' behind it{hint}"
    )


Name = Annotated[str, Field(max_length=80), AfterValidator(_read_name)]
"""A name that is safe in a path and in a table."""


class TaskEntry(FrozenModel):
    """What a suite may set for one task alone."""

    budget: WrittenBudget | None = None
    """The budget on this task, for every method, as in ``training``; null for the suite's."""

    max_length: int | None = Field(default=None, ge=8)
    """The most input tokens on this task; null for the suite's."""


class MethodEntry(FrozenModel):
    """One row of the comparison: a method with its settings.

    Every key but ``method`` is a setting of the method itself and is checked by it.
    """

    model_config = ConfigDict(extra="allow")

    method: str | None = None
    """The method, as ``sparsebench list methods`` has it; null for the one the label names."""

    @property
    def settings(self) -> dict[str, Any]:
        """What the suite sets of the method."""
        return dict(self.model_extra or {})


class Tuning(FrozenModel):
    """An equal search for settings: every method has the same number of trials.

    ``sparsebench tune`` makes the trials under ``protocol: held-out``, so that nothing is chosen by
    a score that is reported.
    """

    trials: int = Field(ge=1)
    """Trials of every method."""

    tasks: tuple[Name, ...] = Field(min_length=1)
    """The tasks to tune on; they need not be those of the suite."""

    search: dict[Name, dict[str, tuple[Any, ...]]]
    """Label of a method -> setting -> the values to try. Where they have more combinations than
    there are trials, ``seed`` draws among them."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    """Draws the trials, and is the seed of their runs."""

    budget: WrittenBudget | None = None
    """The budget of a trial; null for that of the task."""


def entries(value: object) -> object:
    """Turns a list of names into a mapping of names to entries that set nothing.

    Raises:
        ValueError: The list holds anything but names.
    """
    if isinstance(value, (list, tuple)):
        if not all(isinstance(name, str) for name in value):
            raise ValueError("a list may hold names only: for settings, write NAME: {KEY: VALUE}")
        return {name: {} for name in value}
    if isinstance(value, dict):
        return {name: {} if entry is None else entry for name, entry in value.items()}
    return value


class Suite(FrozenModel):
    """What is compared, on what terms."""

    name: Name
    """What results and leaderboards call the suite."""

    description: str = ""
    """One line for ``sparsebench list suites``."""

    tasks: Annotated[dict[Name, TaskEntry], BeforeValidator(entries)] = Field(
        default={}, min_length=1
    )
    """Tasks by name, or a list of names; a suite with the section ``profile`` may have none."""

    models: tuple[str, ...] = Field(min_length=1)
    """Backbones: Hub ids, ``quick/FAMILY``, or folders, which count from the current one."""

    methods: Annotated[dict[Name, MethodEntry], BeforeValidator(entries)] = Field(min_length=1)
    """Methods by label with their settings, or a list of names."""

    seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] = Field(default=(1,), min_length=1)
    """One run for each."""

    protocol: Protocol = Protocol.LAST
    """Which weights are reported."""

    training: Training = Training()
    """How every method trains."""

    held_out: HeldOut = HeldOut()
    """How a checkpoint is selected, under the protocols that select."""

    generation: GenerationSettings | None = None
    """How texts are generated, in tasks that generate any; null for greedily."""

    costs: CostSettings = CostSettings()
    """The shapes that costs are measured with."""

    limits: Limits = Limits()
    """What each run may take before it is stopped."""

    tuning: Tuning | None = None
    """How ``sparsebench tune`` searches for settings; null for no search."""

    tuned: dict[Name, TuningRecord] = Field(default_factory=dict)
    """What a search has found, as ``sparsebench tune`` writes it: label -> its trials."""

    profile: ProfileSettings | None = None
    """What ``sparsebench profile`` measures without training; null for its defaults."""

    revision: str | None = None
    """The Hub revision of the data; null for the newest."""

    @model_validator(mode="after")
    def _labels_are_free(self) -> Suite:
        for label in self.methods:
            if label in RESERVED:
                raise ValueError(f"a method cannot be labelled {label!r}: --set means the section")
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
"""What has keys of its own: the suite, the entry of a task or a method, and each section."""


def cells(suite: Suite) -> Iterator[tuple[str, str, str, int]]:
    """Yields (task, model, method label, seed) for every run of a suite, in the order they run."""
    for model in suite.models:
        for task in suite.tasks:
            for seed in suite.seeds:
                for label in suite.methods:
                    yield task, model, label, seed


def training_for(suite: Suite, task: str) -> Training:
    """Returns how runs on a task train: the suite's terms with what the task sets of its own."""
    own = suite.tasks[task].model_dump(exclude_none=True)
    return Training.model_validate({**suite.training.model_dump(), **own})
