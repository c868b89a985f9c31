"""Trains methods in several processes at once, each with its share of the batches."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sparsebench.conformance.backbones import tiny_backbone, tiny_collate, tiny_features
from sparsebench.execution.executors.fork_server import warm_processes
from sparsebench.method_registry import configure
from sparsebench.models import Form
from sparsebench.schema.training import Training
from sparsebench.training.distributed import ProcessGroup
from sparsebench.training.loop import Selection, train

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection
    from pathlib import Path

    from torch import nn

NO_DROPOUT = {
    "bert": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    "t5": {"dropout_rate": 0.0},
}
TERMS = {"batch_size": 8, "budget": "8 steps", "calibration": "free"}
ROWS = 21
"""In batches of 8: the last of an epoch is too small to be shared out evenly."""


@dataclass(frozen=True)
class Case:
    """A method to train on a tiny backbone."""

    method: str
    settings: dict[str, Any] = field(default_factory=dict)
    kind: str = "bert"
    training: dict[str, Any] = field(default_factory=dict)
    evaluations: int = 0

    @property
    def name(self) -> str:
        return f"{self.method} on {self.kind}"


def losses(case: Case, work: Path, group: ProcessGroup | None = None) -> list[float]:
    """Returns the loss of each step of a training without dropout, and the scores on the way."""
    form = {"bert": Form.CLASSIFICATION, "t5": Form.TEXT_TO_TEXT}[case.kind]
    method = configure(case.method, case.settings)
    backbone = tiny_backbone(case.kind, form=form, **NO_DROPOUT[case.kind])
    if method.teacher_name:
        teacher = tiny_backbone(case.kind, form=form, **NO_DROPOUT[case.kind]).model
        method.teacher = teacher.eval().requires_grad_(requires_grad=False)
    record = train(
        method,
        method.prepare(backbone),
        training=Training.model_validate({**TERMS, **case.training}),
        features=tiny_features(form, rows=ROWS),
        collate=tiny_collate,
        seed=5,
        precision="fp32",
        work=work,
        selection=Selection(case.evaluations, _size) if case.evaluations else None,
        group=group,
    )
    return [*(point.loss for point in record.loss), *(e.score for e in record.evaluations)]


def _size(model: nn.Module) -> float:
    time.sleep(0.1)  # the others are not to go on meanwhile
    return sum(float(p.detach().abs().sum()) for p in model.parameters())


def side_by_side(cases: Sequence[Case], folder: Path, *, size: int = 2) -> list[list[Any]]:
    """Returns what each process saw of each case: its losses, or why it failed."""
    context = warm_processes()
    processes, ends = [], []
    for rank in range(size):
        end, sender = context.Pipe(duplex=False)
        process = context.Process(target=_train_all, args=(cases, folder, rank, size, sender))
        process.start()
        sender.close()
        processes.append(process)
        ends.append(end)
    try:
        return [end.recv() for end in ends]
    finally:
        for process in processes:
            process.kill()
            process.join()


def _train_all(
    cases: Sequence[Case], folder: Path, rank: int, size: int, sender: Connection
) -> None:
    import torch

    torch.set_num_threads(1)
    seen: list[Any] = []
    try:
        for number, case in enumerate(cases):
            group = ProcessGroup(rank, size, folder / f"meeting-{number}")
            seen.append(losses(case, folder / f"work-{number}", group))
    except Exception:  # noqa: BLE001 - it is told to who compares
        seen.append(traceback.format_exc())
    sender.send(seen)
