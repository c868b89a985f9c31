"""What the steps of one run share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparsebench.execution.events import Progressed
from sparsebench.tasks.features import encoded

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from datasets import Dataset

    from sparsebench.execution.events import Report
    from sparsebench.execution.job import Job
    from sparsebench.tasks import Form, Task, TaskData
    from sparsebench.training.distributed import ProcessGroup


@dataclass
class RunContext:
    """What the steps of one run share.

    Attributes:
        job: The run.
        report: Is told how it goes.
        device: Where it computes.
        precision: What it trains in: ``fp32``, ``bf16`` or ``fp16``.
        task: The task.
        form: How the model answers.
        head: Names of the parameters of the task head.
        data: The examples.
        tokenizer: That of the backbone.
        stop: Whether training is to stop after the step.
        group: The processes that train together.
    """

    job: Job
    report: Report
    device: torch.device
    precision: str
    task: Task
    form: Form
    head: frozenset[str]
    data: TaskData
    tokenizer: Any
    stop: Callable[[], bool]
    group: ProcessGroup

    def say(self, phase: str, done: int = 0, total: int = 0, loss: float | None = None) -> None:
        """Reports where the run stands."""
        self.report(Progressed(self.job.key, phase, done, total, loss))

    def encode(self, examples: Dataset, *, inputs_only: bool = False) -> Dataset:
        """Returns the features of examples."""
        return encoded(
            self.task,
            examples,
            tokenizer=self.tokenizer,
            form=self.form,
            max_length=self.job.spec.training.max_length,
            inputs_only=inputs_only,
        )
