"""The record of a run: everything that is needed to read, check and recompute its numbers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from sparsebench.results.base import LONGEST, Record
from sparsebench.results.costs import Costs
from sparsebench.schema.spec import RunSpec, TuningRecord
from sparsebench.schema.training import Protocol

SCHEMA_VERSION = 1
"""Increased when old results can no longer be read unchanged."""


class Status(StrEnum):
    """How a run ended."""

    OK = "ok"
    """It has a score."""

    OOM = "oom"
    """It ran out of memory."""

    DIVERGED = "diverged"
    """Its loss was no longer finite."""

    TIMEOUT = "timeout"
    """It reached its time limit."""

    ERROR = "error"
    """It failed for another reason."""

    SKIPPED = "skipped"
    """It did not run: the combination is not applicable, or its data is missing."""


class LossPoint(Record):
    """The training loss at one moment."""

    step: int
    """Optimizer steps so far, over all stages."""

    loss: float
    """Mean training loss since the last point, penalties included."""

    learning_rate: float
    """Learning rate of the first parameter group."""


class Evaluation(Record):
    """One evaluation during training, under a protocol that selects a checkpoint."""

    step: int
    """Optimizer steps so far."""

    score: float
    """Headline score of the task on the split for selection."""

    eligible: bool
    """Whether the method had reached its final form, so that this checkpoint can be selected."""


class TrainingRecord(Record):
    """The duration and the loss curve of training; its peak memory is part of the costs."""

    steps: int
    """Optimizer steps so far."""

    seconds: float = Field(ge=0, le=LONGEST)
    """Wall-clock seconds of the training loop."""

    examples_per_second: float = Field(ge=0, allow_inf_nan=False)
    """Training examples per second, over the whole loop."""

    devices: int = 1
    """Devices that shared every batch; the times are those of all together."""

    loss: tuple[LossPoint, ...]
    """The loss curve."""

    evaluations: tuple[Evaluation, ...] = ()
    """The evaluations for the selection of a checkpoint."""

    selected_step: int | None = None
    """The step of the selected checkpoint; None under ``protocol: last``."""

    calibration: int = 0
    """Training examples that the method looked at before or between its stages."""

    calibration_steps: int = 0
    """Steps of the budget that they cost; 0 if the suite gives them free."""


class Provenance(Record):
    """The environment of a run: machine, versions, origins."""

    created: str
    """Time of its end, UTC, ISO 8601."""

    command: str
    """The command line as typed."""

    versions: dict[str, str]
    """Package -> version, of all packages that can change a number."""

    git: str | None
    """Commit of the checkout of the package, ``-dirty`` if changed; None outside a checkout."""

    device: str
    """The maker's name of the accelerator, or of the processor with its threads."""

    platform: str
    """Operating system and machine."""

    threads: int
    """Threads of torch."""

    precision: str
    """The precision of training: ``fp32``, ``bf16`` or ``fp16``."""

    data_origin: str
    """Source of the data, with the resolved revision."""

    model_origin: str
    """Source of the backbone, as the user named it."""


class Retried(Record):
    """The second attempt at a run whose first attempt ran out of memory."""

    micro_batch_size: int
    """Examples per forward pass in the second attempt; the batch size stays the same."""

    reason: str
    """The reason why the first attempt ended."""


class TeacherRecord(Record):
    """The teacher of a run, and what its training cost."""

    name: str
    """Its name in the settings of the method."""

    key: str
    """The key of its run; the fingerprint of a model that is not a row."""

    score: float | None = None
    """The headline score of its run; None for a model that is not a row."""

    steps: int | None = None
    """The optimizer steps that trained it; with a teacher of its own, those of both. None for a
    model that is not a row."""

    seconds: float | None = Field(default=None, ge=0, le=LONGEST)
    """The wall-clock seconds of those steps."""


BEYOND = 1e12
"""Scores beyond this, in either direction, come from broken files."""


class RunResult(Record):
    """One run, successful or failed."""

    schema_version: int = SCHEMA_VERSION
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    """Hash of the spec: equal keys mean the same run."""

    suite: str
    """The suite that first started the run."""

    spec: RunSpec
    status: Status
    reason: str | None = None
    """Why there is no score, in one line; None if there is one."""

    notes: tuple[str, ...] = ()
    """Remarks of the method on the deployed model."""

    traceback: str | None = None
    """The last lines of the traceback or of the log of a failed run."""

    score: float | None = Field(default=None, ge=-BEYOND, le=BEYOND)
    """Headline score of the deployed model, mean over splits; None if not ok."""

    scores: dict[str, dict[str, float]] = Field(default_factory=dict)
    """Split -> metric -> value."""

    missing: dict[str, str] = Field(default_factory=dict)
    """Metric that could not be computed -> reason."""

    headline_metric: str | None = None
    """Name of the score, such as ``"matthews"``."""

    tuned: TuningRecord | None = None
    """The search for the settings of the method; None if there was none."""

    retried: Retried | None = None
    """The second attempt after running out of memory; None if there was none."""

    teacher: TeacherRecord | None = None
    """The teacher; None if the method has none."""

    training: TrainingRecord | None = None
    costs: Costs | None = None
    provenance: Provenance | None = None
    files: dict[str, str] = Field(default_factory=dict)
    """File beside the result -> SHA-256 of its content."""

    @property
    def flagged(self) -> bool:
        """Whether the checkpoint was selected on the reported split."""
        return self.spec.protocol is Protocol.PAPER
