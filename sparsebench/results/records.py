"""What is recorded of a run: everything needed to read it, doubt it and recompute it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from sparsebench.results.base import Record
from sparsebench.results.costs import Costs
from sparsebench.schema.spec import RunSpec, TuningRecord
from sparsebench.schema.training import Protocol

SCHEMA_VERSION = 1
"""Changes when old results can no longer be read as they are."""


class Status(StrEnum):
    """How a run ended."""

    OK = "ok"
    """It has a score."""

    OOM = "oom"
    """It ran out of memory."""

    DIVERGED = "diverged"
    """Its loss was no longer finite."""

    TIMEOUT = "timeout"
    """It was stopped at its time limit."""

    ERROR = "error"
    """It failed in another way, which the reason tells."""

    SKIPPED = "skipped"
    """It was not tried, since the combination makes no sense or its data is absent."""


class LossPoint(Record):
    """The training loss at one moment."""

    step: int
    """Optimizer steps done, all stages counted through."""

    loss: float
    """The mean task loss, penalties included, since the last point."""

    learning_rate: float
    """The learning rate of the first parameter group."""


class Evaluation(Record):
    """One evaluation in the course of training, under a protocol that selects."""

    step: int
    """Optimizer steps done."""

    score: float
    """The task's headline score on the split that is selected on."""

    eligible: bool
    """Whether the method had its final form, so that this checkpoint could be selected."""


class TrainingRecord(Record):
    """What training took and how it went; its peak memory stands with the costs."""

    steps: int
    """Optimizer steps done."""

    seconds: float
    """Wall-clock time of the training loop."""

    examples_per_second: float
    """Training examples a second, over the whole loop."""

    devices: int = 1
    """Devices that trained together and shared every batch; the times are theirs together."""

    loss: tuple[LossPoint, ...]
    """The loss curve."""

    evaluations: tuple[Evaluation, ...] = ()
    """The evaluations that a checkpoint was selected by."""

    selected_step: int | None = None
    """The step of the selected checkpoint; None under ``protocol: last``."""


class Provenance(Record):
    """Where and with what a run was made."""

    created: str
    """When it ended, UTC, ISO 8601."""

    command: str
    """The command line, as the user typed it."""

    versions: dict[str, str]
    """Package -> version, of everything that can change a number."""

    git: str | None
    """The commit of the checkout that the package was run from, ``-dirty`` if changed."""

    device: str
    """The accelerator or processor, by its own name."""

    platform: str
    """Operating system and machine."""

    threads: int
    """Threads that torch computed with."""

    precision: str
    """The precision that training ran in: ``fp32``, ``bf16`` or ``fp16``."""

    data_origin: str
    """Where the data came from, with the resolved revision."""

    model_origin: str
    """Where the backbone came from, as the user named it."""


class Retried(Record):
    """The second attempt at a run whose first one ran out of memory."""

    micro_batch_size: int
    """Examples a forward pass in the second attempt; an optimizer step has as many as before."""

    reason: str
    """How the first attempt ended."""


BEYOND = 1e12
"""A score that is larger than this, either way, is of a broken file."""


class RunResult(Record):
    """One run: a row, whether it worked or not."""

    schema_version: int = SCHEMA_VERSION
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    """The hash of the spec: equal keys mean the same run."""

    suite: str
    """The suite that the run was first made for."""

    spec: RunSpec
    status: Status
    reason: str | None = None
    """Why there is no score, in one line; None if there is one."""

    traceback: str | None = None
    """The last lines of the traceback, where an exception ended the run."""

    score: float | None = Field(default=None, ge=-BEYOND, le=BEYOND)
    """The task's headline score of the deployed model, mean over splits; None if not ok."""

    scores: dict[str, dict[str, float]] = Field(default_factory=dict)
    """Split -> metric -> value."""

    missing: dict[str, str] = Field(default_factory=dict)
    """Metric that could not be computed -> why."""

    headline_metric: str | None = None
    """What the score is called, such as ``"matthews"``."""

    tuned: TuningRecord | None = None
    """How the settings of the method were searched for; None where they were not."""

    retried: Retried | None = None
    """How it was made after it first ran out of memory; None where it did not."""

    training: TrainingRecord | None = None
    costs: Costs | None = None
    provenance: Provenance | None = None
    files: dict[str, str] = Field(default_factory=dict)
    """File beside the result -> SHA-256 of its content."""

    @property
    def flagged(self) -> bool:
        """Whether the score was selected on the split that it is reported on."""
        return self.spec.protocol is Protocol.PAPER
