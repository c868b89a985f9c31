"""A small training of a tiny BERT by the harness's loop, and a method that notes its calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset
from tiny_models import tiny_backbone

from sparsebench import Method, MethodConfig, Stage, TrainingData
from sparsebench.models import Form
from sparsebench.schema.training import Training
from sparsebench.training.loop import Selection, train
from sparsebench.training.prediction import EXTRA

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import nn

    from sparsebench import Backbone
    from sparsebench.results import TrainingRecord


class NotesCalls(Method):
    """Trains everything, and notes what it is told."""

    class Config(MethodConfig):
        learning_rate: float = 1e-3

    def __init__(self, stages: tuple[Stage, ...] = (Stage("train", 1.0),)) -> None:
        super().__init__()
        self._stages = stages
        self.progress: list[float] = []
        self.begun: list[str] = []

    def prepare(self, backbone: Backbone) -> nn.Module:
        return backbone.model

    def stages(self) -> tuple[Stage, ...]:
        return self._stages

    def begin_stage(self, model: nn.Module, stage: Stage, data: TrainingData) -> None:
        self.begun.append(stage.name)

    def before_step(self, model: nn.Module, progress: float) -> None:
        self.progress.append(progress)


def features(count: int = 24) -> Dataset:
    generator = torch.Generator().manual_seed(3)
    rows = []
    for place in range(count):
        ids = torch.randint(3, 50, (4 + place % 5,), generator=generator).tolist()
        row = {"input_ids": ids, "attention_mask": [1] * len(ids), "length": len(ids)}
        rows.append({**row, "labels": place % 2})
    return Dataset.from_list(rows)


def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    longest = max(len(row["input_ids"]) for row in rows)
    batch: dict[str, Any] = {"labels": torch.tensor([row["labels"] for row in rows])}
    for name in set(rows[0]) - {"labels", *EXTRA}:
        padded = [row[name] + [0] * (longest - len(row[name])) for row in rows]
        batch[name] = torch.tensor(padded)
    return batch


def drive(
    method: Method,
    work: Path,
    *,
    model: nn.Module | None = None,
    on_step: Callable[[int, int, float | None], None] | None = None,
    selection: Selection | None = None,
    **training: Any,
) -> tuple[nn.Module, TrainingRecord]:
    backbone = tiny_backbone("bert", form=Form.CLASSIFICATION)
    prepared = model or method.prepare(backbone)
    terms = Training.model_validate({"budget": "6 steps", "batch_size": 8, **training})
    record = train(
        method,
        prepared,
        training=terms,
        features=features(),
        collate=collate,
        seed=5,
        precision="fp32",
        work=work,
        selection=selection,
        on_step=on_step,
    )
    return prepared, record


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)
