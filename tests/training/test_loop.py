"""The training loop: budgets, stages, penalties, checkpoints, selection."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tiny_models import tiny_backbone
from training_runs import NotesCalls, drive, same, state

from sparsebench import Stage
from sparsebench.models import Form
from sparsebench.training.loop import Selection
from sparsebench.training.stage_callback import DivergedError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn


def test_progress_runs_from_0_to_1_whatever_the_stages(tmp_path: Path) -> None:
    method = NotesCalls((Stage("tune", 1 / 3), Stage("prune", 2 / 3)))
    _, record = drive(method, tmp_path)
    assert method.progress == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])
    assert method.begun == ["tune", "prune"]
    assert record.steps == 6
    assert [point.step for point in record.loss] == [1, 2, 3, 4, 5, 6]


def test_an_epoch_is_as_many_steps_as_cover_the_data(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    drive(
        NotesCalls(),
        tmp_path,
        budget="2 epochs",
        batch_size=10,
        on_step=lambda done, total, _: steps.append((done, total)),
    )
    assert steps == [(done, 6) for done in range(1, 7)]


def test_stages_that_do_not_share_the_whole_budget_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        drive(NotesCalls((Stage("tune", 0.5),)), tmp_path)


def test_each_stage_warms_up_and_decays_by_itself(tmp_path: Path) -> None:
    halves = (Stage("tune", 0.5), Stage("prune", 0.5))
    _, record = drive(NotesCalls(halves), tmp_path, budget="8 steps", warmup=0.25)
    rates = [point.learning_rate for point in record.loss]
    assert rates[:4] == pytest.approx(rates[4:])
    assert rates[0] == 0
    assert rates[1] == pytest.approx(1e-3)


def test_accumulated_micro_batches_train_like_the_whole_batch(tmp_path: Path) -> None:
    fixed = {"group_by_length": False, "clip": None}
    backbones = [tiny_backbone("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)]
    backbones.append(tiny_backbone("bert", hidden_dropout_prob=0, attention_probs_dropout_prob=0))
    whole, one = drive(NotesCalls(), tmp_path / "a", model=backbones[0].model, **fixed)
    parts, two = drive(
        NotesCalls(), tmp_path / "b", model=backbones[1].model, micro_batch_size=2, **fixed
    )
    assert [p.loss for p in one.loss] == pytest.approx([p.loss for p in two.loss], rel=1e-4)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], value, rtol=1e-3, atol=2e-4)


def test_the_penalty_is_part_of_the_loss_and_of_the_gradient(tmp_path: Path) -> None:
    class Penalised(NotesCalls):
        def penalty(self, model: nn.Module) -> torch.Tensor:
            return 1000 * model.get_parameter("classifier.weight").square().sum()

    plain, _ = drive(NotesCalls(), tmp_path / "a")
    penalised, record = drive(Penalised(), tmp_path / "b")
    norm = penalised.get_parameter("classifier.weight").norm()
    assert norm < 0.995 * plain.get_parameter("classifier.weight").norm()
    assert record.loss[0].loss > 100


def test_parameter_groups_set_their_own_learning_rate(tmp_path: Path) -> None:
    class OwnRates(NotesCalls):
        def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
            head = [p for n, p in model.named_parameters() if n.startswith("classifier")]
            rest = [p for n, p in model.named_parameters() if not n.startswith("classifier")]
            return [{"params": head}, {"params": rest, "lr": 0.0}]

    before = state(tiny_backbone("bert", form=Form.CLASSIFICATION).model)
    after, _ = drive(OwnRates(), tmp_path)
    moved = [n for n, value in after.state_dict().items() if not torch.equal(value, before[n])]
    assert moved == ["classifier.weight", "classifier.bias"]


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    class Exploding(NotesCalls):
        def penalty(self, model: nn.Module) -> torch.Tensor:
            return torch.tensor(math.nan if len(self.progress) > 3 else 0.0)

    with pytest.raises(DivergedError, match="step 4 of 6"):
        drive(Exploding(), tmp_path)


@pytest.mark.parametrize("killed_at", [1, 4, 5, 8])
def test_a_run_that_was_cut_off_goes_on_to_the_same_end(tmp_path: Path, killed_at: int) -> None:
    class Killed(BaseException):
        pass

    def kill(done: int, total: int, loss: float | None) -> None:
        if done == killed_at:
            raise Killed

    halves = (Stage("tune", 0.5), Stage("prune", 0.5))
    terms = {"budget": "8 steps", "checkpoint_every": 1, "warmup": 0.0}
    straight, one = drive(NotesCalls(halves), tmp_path / "a", **terms)
    with pytest.raises(Killed):
        drive(NotesCalls(halves), tmp_path / "b", on_step=kill, **terms)
    done: list[int] = []
    resumed, two = drive(
        NotesCalls(halves), tmp_path / "b", on_step=lambda step, *_: done.append(step), **terms
    )
    assert done[0] >= killed_at
    assert same(state(straight), state(resumed))
    assert one.loss == two.loss


def test_the_best_eligible_evaluation_is_selected(tmp_path: Path) -> None:
    class LateBloomer(NotesCalls):
        def is_final(self, progress: float) -> bool:
            return progress >= 0.5

    scores = iter([0.9, 0.2, 0.7, 0.7, 0.1, 0.3])
    seen: list[dict[str, torch.Tensor]] = []

    def score(model: nn.Module) -> float:
        seen.append(state(model))
        return next(scores)

    model, record = drive(LateBloomer(), tmp_path, selection=Selection(6, score))
    assert [e.eligible for e in record.evaluations] == [False, False, True, True, True, True]
    assert [e.step for e in record.evaluations] == [1, 2, 3, 4, 5, 6]
    assert record.selected_step == 3
    assert same(state(model), seen[2])


def test_without_a_selection_the_last_weights_are_reported(tmp_path: Path) -> None:
    _, record = drive(NotesCalls(), tmp_path)
    assert record.selected_step is None
    assert record.evaluations == ()


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    one, _ = drive(NotesCalls(), tmp_path / "a")
    two, _ = drive(NotesCalls(), tmp_path / "b")
    assert same(state(one), state(two))
