"""Label smoothing against its formula, against transformers' own, and in training."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import torch
from tiny_models import tiny_backbone
from training_runs import NotesCalls, drive
from transformers.trainer_pt_utils import LabelSmoother

from sparsebench.training.label_smoothing import smoothed_loss

if TYPE_CHECKING:
    from pathlib import Path

SHARE = 0.3


def logits(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)).requires_grad_()


def test_classes_follow_the_formula() -> None:
    values, labels = logits(4, 3), torch.tensor([0, 2, 1, 2])
    found = smoothed_loss(
        torch.zeros(()), {"logits": values}, labels, share=SHARE, shifts_labels=True
    )
    logs = values.log_softmax(-1)
    hard, spread = -logs[range(4), labels], -logs.mean(-1)
    torch.testing.assert_close(found, ((1 - SHARE) * hard + SHARE * spread).mean())


@pytest.mark.parametrize("shifts", [False, True])
def test_tokens_are_smoothed_as_by_transformers(*, shifts: bool) -> None:
    values = logits(2, 5, 7)
    labels = torch.tensor([[-100, 3, 6, 0, -100], [-100, -100, 1, 2, 5]])
    outputs = SimpleNamespace(logits=values)
    expected = LabelSmoother(epsilon=SHARE)({"logits": values}, labels.clone(), shift_labels=shifts)
    found = smoothed_loss(torch.zeros(()), vars(outputs), labels, share=SHARE, shifts_labels=shifts)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("labels", [None, torch.tensor([0.5, 4.0])])
def test_without_classes_the_loss_stays(labels: torch.Tensor | None) -> None:
    loss = torch.tensor(1.25)
    outputs = {"logits": logits(2, 1)}
    assert smoothed_loss(loss, outputs, labels, share=SHARE, shifts_labels=True) is loss


@pytest.mark.parametrize("micro", [None, 2])
def test_a_suite_can_ask_for_it(micro: int | None, tmp_path: Path) -> None:
    """The first loss is linear in the share."""
    fixed = {"group_by_length": False, "micro_batch_size": micro}

    def first_loss(share: float) -> float:
        model = tiny_backbone("bert", hidden_dropout_prob=0, attention_probs_dropout_prob=0).model
        terms = {"model": model, "label_smoothing": share, **fixed}
        _, record = drive(NotesCalls(), tmp_path / str(share), **terms)
        return record.loss[0].loss

    none, half, most = first_loss(0.0), first_loss(0.4), first_loss(0.8)
    assert abs(most - none) > 1e-3
    assert half == pytest.approx((none + most) / 2, abs=1e-5)
