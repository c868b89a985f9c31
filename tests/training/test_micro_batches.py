"""One optimizer step has the same gradient, however its batch is split into micro-batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from side_by_side import NO_DROPOUT
from transformers import TrainerCallback

from sparsebench import Stage
from sparsebench.conformance.backbones import tiny_backbone, tiny_collate, tiny_features
from sparsebench.method_registry import configure
from sparsebench.models import Form
from sparsebench.models.families import IGNORED
from sparsebench.schema.training import Training
from sparsebench.training.distributed import ProcessGroup
from sparsebench.training.stage_callback import Span
from sparsebench.training.trainer import StageTrainer, stage_arguments

if TYPE_CHECKING:
    from pathlib import Path

    from datasets import Dataset

DROPOUT = {**NO_DROPOUT, "gpt2": dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), 0.0)}


class KeepGradient(TrainerCallback):  # type: ignore[misc]
    """Keep the gradient of the first step."""

    gradient: torch.Tensor

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        parameters = kwargs["model"].parameters()
        self.gradient = torch.cat([p.grad.flatten().clone() for p in parameters])


def gradient(kind: str, form: Form, features: Dataset, *, micro: int, work: Path) -> torch.Tensor:
    method = configure("full", {})
    backbone = tiny_backbone(kind, form=form, **DROPOUT[kind])
    terms = {"budget": "1 steps", "batch_size": 8, "micro_batch_size": micro, "clip": None}
    trainer = StageTrainer(
        method=method,
        stage=Stage("train", 1.0),
        group=ProcessGroup(),
        model=method.prepare(backbone),
        args=stage_arguments(
            Training.model_validate(terms),
            method=method,
            span=Span(0, 1, 1),
            folder=work,
            seed=1,
            precision="fp32",
            devices=1,
        ),
        train_dataset=features,
        data_collator=tiny_collate,
    )
    kept = KeepGradient()
    trainer.add_callback(kept)
    trainer.train()
    return kept.gradient


def cut_short(features: Dataset) -> Dataset:
    """Return features of which every second one has lost its targets to truncation."""

    def cut(row: dict[str, Any], place: int) -> dict[str, Any]:
        kept = row["labels"] if place % 2 else [IGNORED] * len(row["labels"])
        return {**row, "labels": kept}

    return features.map(cut, with_indices=True)


@pytest.mark.parametrize(
    ("kind", "form", "rows"),
    [
        ("t5", Form.TEXT_TO_TEXT, 8),
        ("gpt2", Form.LANGUAGE_MODEL, 8),
        ("gpt2", Form.LANGUAGE_MODEL, 5),
        ("bert", Form.CLASSIFICATION, 8),
        ("bert", Form.CLASSIFICATION, 5),
    ],
)
def test_micro_batches_have_the_gradient_of_the_batch(
    kind: str, form: Form, rows: int, tmp_path: Path
) -> None:
    features = tiny_features(form, rows=rows)
    whole, small = (
        gradient(kind, form, features, micro=micro, work=tmp_path / str(micro)) for micro in (8, 2)
    )
    assert (whole - small).norm() < 1e-5 * whole.norm()


def test_examples_without_targets_weigh_nothing(tmp_path: Path) -> None:
    form = Form.TEXT_TO_TEXT
    features = cut_short(tiny_features(form, rows=8))
    whole, small = (
        gradient("t5", form, features, micro=micro, work=tmp_path / str(micro)) for micro in (8, 1)
    )
    assert whole.norm() > 0
    assert (whole - small).norm() < 1e-5 * whole.norm()
