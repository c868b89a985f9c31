"""One fully resolved run, and the search that its settings come from."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from sparsebench.schema.base import FrozenModel
from sparsebench.schema.training import GenerationSettings, HeldOut, Protocol, Training


class MethodChoice(FrozenModel):
    """A method with every setting resolved.

    ``label`` is what tables call it; ``name`` is the registered method.
    """

    label: str
    name: str
    version: str
    settings: dict[str, Any]


class RunSpec(FrozenModel):
    """One run, fully resolved: all that decides its scores."""

    task: str
    task_version: str
    model: str
    """The backbone's name."""

    model_fingerprint: str
    """The content hash of the backbone, or its Hub commit."""

    method: MethodChoice
    seed: int
    protocol: Protocol
    training: Training
    held_out: HeldOut | None = None
    """Only under a protocol that selects."""

    generation: GenerationSettings | None = None
    """Only where text is generated, and only where the suite says how."""

    data_fingerprint: str

    @property
    def title(self) -> str:
        """The run in a few words, for messages."""
        return f"{self.task} · {self.model} · {self.method.label} · seed {self.seed}"


class SearchTrial(FrozenModel):
    """One try of an equal tuning.

    ``score`` is the mean held-out score over the tasks of the tuning; None where a run failed.
    """

    settings: dict[str, Any]
    score: float | None
    keys: tuple[str, ...]
    """The keys of its runs."""

    loss: float | None = None
    """The mean training loss over the last quarter of its steps: the lower one decides a tie."""


class TuningRecord(FrozenModel):
    """How the settings of a method were searched for."""

    tasks: tuple[str, ...]
    """The tasks that it was tuned on."""

    trials: tuple[SearchTrial, ...]
    """Every try, in the order they were made."""

    chosen: int = Field(ge=0)
    """The place of the trial whose settings the method has."""
