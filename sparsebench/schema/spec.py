"""The spec of one resolved run, and the search for the settings of its method."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from sparsebench.schema.base import FrozenModel
from sparsebench.schema.training import GenerationSettings, HeldOut, Protocol, Training


class MethodChoice(FrozenModel):
    """A method with every setting resolved."""

    label: str
    """The name in tables."""

    name: str
    """The registered name."""

    version: str
    settings: dict[str, Any]


class TeacherChoice(FrozenModel):
    """The model that the method of a run learns from."""

    name: str
    """The label of another row of the suite, a folder or a Hub id, as the method names it."""

    row: bool
    """Whether it is another row: the teacher is then its deployed model on the same task, backbone
    and seed."""

    fingerprint: str
    """The key of the run of that row; the content hash or the Hub commit of any other model."""


class RunSpec(FrozenModel):
    """One resolved run: everything that determines its scores."""

    task: str
    task_version: str
    model: str
    """The name of the backbone."""

    model_fingerprint: str
    """The content hash of the backbone, or its Hub commit."""

    pooler: Literal["head"] | None = None
    """``head`` if the backbone's files contain a pooler that was never trained: it is then part of
    the task head for every method. None in all other cases."""

    method: MethodChoice
    seed: int
    protocol: Protocol
    training: Training
    held_out: HeldOut | None = None
    """Set only under a protocol that selects a checkpoint."""

    generation: GenerationSettings | None = None
    """Set only if the task generates text and the suite sets how."""

    data_fingerprint: str

    teacher: TeacherChoice | None = None
    """Set only if the method learns from a teacher."""

    @property
    def title(self) -> str:
        """A short description of the run for messages."""
        return f"{self.task} · {self.model} · {self.method.label} · seed {self.seed}"


class SearchTrial(FrozenModel):
    """One search trial."""

    settings: dict[str, Any]
    score: float | None
    """The mean held-out score over the tasks of the search; None if a run failed."""

    keys: tuple[str, ...]
    """The keys of its runs."""

    loss: float | None = None
    """The mean training loss over the last quarter of the steps; the lower one decides a tie."""


class TuningRecord(FrozenModel):
    """The search for the settings of a method."""

    tasks: tuple[str, ...]
    """The tasks of the search."""

    trials: tuple[SearchTrial, ...]
    """All search trials, in order."""

    chosen: int = Field(ge=0)
    """The index of the search trial whose settings were chosen."""

    @property
    def best_settings(self) -> dict[str, Any]:
        """The settings that were chosen."""
        return self.trials[self.chosen].settings
