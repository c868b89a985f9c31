"""The state that the steps of one run share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from transformers import set_seed

from sparsebench.execution.devices import resolve, training_precision
from sparsebench.execution.events import Progressed
from sparsebench.models import load_backbone, model_source
from sparsebench.tasks import TASKS
from sparsebench.tasks.loading import load_data
from sparsebench.tasks.features import encoded

if TYPE_CHECKING:
    import torch
    from datasets import Dataset

    from sparsebench.execution.events import Report
    from sparsebench.execution.job import Job
    from sparsebench.models import Backbone
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


def load_context(job: Job, report: Report) -> RunContext:
    """Load the backbone and the data of a run; a new head is seeded by the run.

    Raises:
        UserError: The backbone or the data cannot be loaded.
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
    return RunContext(
        job=job,
        report=report,
        device=device,
        precision=training_precision(job.spec.training.precision, device),
        task=task,
        data=load_data(job.spec.task, job.data),
        backbone=backbone,
        head=backbone.head,
    )
