"""The state that the steps of one run share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from transformers import set_seed

from sparsebench.errors import UserError
from sparsebench.execution.devices import resolve, training_precision
from sparsebench.execution.events import Progressed
from sparsebench.models import load_backbone, model_source
from sparsebench.models.bundle import bundle_folder, check_files, read_bundle
from sparsebench.tasks import TASKS
from sparsebench.tasks.features import encoded
from sparsebench.tasks.loading import load_data
from sparsebench.training.prediction import collator_for

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from datasets import Dataset

    from sparsebench.execution.events import Report
    from sparsebench.execution.job import Job
    from sparsebench.models import Backbone, ModelSource
    from sparsebench.tasks import Task, TaskData


@dataclass
class RunContext:
    """The state that the steps of one run share.

    Attributes:
        job: The run.
        report: Receives its events.
        device: The device to compute on.
        precision: The precision to train in: ``fp32``, ``bf16`` or ``fp16``.
        task: The task.
        data: Its examples.
        backbone: The backbone; a method may change its model in place.
        head: Names of the parameters of the task head.
    """

    job: Job
    report: Report
    device: torch.device
    precision: str
    task: Task
    data: TaskData
    backbone: Backbone
    head: frozenset[str]

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the backbone."""
        return self.backbone.tokenizer

    def report_phase(
        self, phase: str, done: int = 0, total: int = 0, loss: float | None = None
    ) -> None:
        """Report what the run is doing, and how far it is."""
        self.report(Progressed(self.job.key, phase, done, total, loss))

    def encode(self, examples: Dataset, *, inputs_only: bool = False) -> Dataset:
        """Return the features of examples, from the cache if it has them."""
        return encoded(
            self.task,
            examples,
            tokenizer=self.tokenizer,
            form=self.backbone.form,
            max_length=self.job.spec.training.max_length,
            inputs_only=inputs_only,
        )

    def collator(self) -> Callable[..., Any]:
        """Return the collator of training batches."""
        training = self.job.spec.training
        length = training.max_length if training.pad_to_max_length else None
        return collator_for(self.tokenizer, self.backbone.form, length=length)


def load_context(job: Job, report: Report) -> RunContext:
    """Load the backbone and the data of a run; a new head is seeded by the run.

    Raises:
        UserError: The backbone or the data cannot be loaded, or is not what was planned.
    """
    report(Progressed(job.key, "load"))
    set_seed(job.spec.seed)
    device = resolve("auto")
    task, source = TASKS.get(job.spec.task), model_source(job.model)
    backbone = load_backbone(
        source,
        form=task.form_for(source.family),
        labels=task.labels,
        dropout=job.spec.training.dropout,
    )
    data = load_data(job.spec.task, job.data)
    check_unchanged(job, source, data)
    return RunContext(
        job=job,
        report=report,
        device=device,
        precision=training_precision(job.spec.training.precision, device),
        task=task,
        data=data,
        backbone=backbone,
        head=backbone.head,
    )


def check_unchanged(job: Job, source: ModelSource, data: TaskData) -> None:
    """Compare the loaded backbone and data with the fingerprints in the plan.

    Raises:
        UserError: One of them differs: its files were replaced after the run was planned.
    """
    if folder := bundle_folder():  # its fingerprints are stored; its files have checksums
        bundle = read_bundle(folder)
        parts = (bundle.models.get(job.model), bundle.tasks.get(job.spec.task))
        check_files(folder, within=[part.folder for part in parts if part is not None])
    found = {
        f"the model {job.model}": (source.fingerprint, job.spec.model_fingerprint),
        f"the data of {job.spec.task}": (data.fingerprint, job.spec.data_fingerprint),
    }
    for name, (here, planned) in found.items():
        if here != planned:
            raise UserError(
                f"{name} has changed since the run was planned: its fingerprint is {here}, the "
                f"plan says {planned}; leave the files alone and run the same command again"
            )
