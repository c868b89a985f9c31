from __future__ import annotations

import masked_runs
import pytest
import torch
from contract_loop import Loop, drive
from pydantic import ValidationError
from sparsebench_methods.magnitude import Magnitude, MagnitudeConfig
from tiny_models import KINDS, tiny_backbone

from sparsebench.sparsity import Masked, attached, has_sparsity

SETTINGS = {
    "gradual": {"mode": "gradual", "refresh": 0},
    "one-shot, tuned again": {"mode": "one_shot", "retrain": 0.4},
    "one-shot at the end": {"mode": "one_shot", "retrain": 0},
    "one-shot at the start": {"mode": "one_shot", "retrain": 1},
}


def magnitude(**settings: object) -> Magnitude:
    return Magnitude(MagnitudeConfig.model_validate({"learning_rate": 1e-2, **settings}))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", SETTINGS)
def test_ships_exactly_the_asked_zeros_in_every_matrix(kind: str, mode: str) -> None:
    method = magnitude(sparsity=0.7, **SETTINGS[mode])
    masked_runs.assert_life_is_sound(method, kind, zeros=lambda size: int(size * 0.7))


@pytest.mark.parametrize("mode", SETTINGS)
def test_ships_exactly_the_asked_zeros_in_total(mode: str) -> None:
    backbone = tiny_backbone("gpt2")
    method = magnitude(sparsity=0.7, scope="global", **SETTINGS[mode])
    shipped = drive(method, backbone, masked_runs.batches(backbone), 10)
    zeros, sizes = zip(*masked_runs.zeros_by_matrix(shipped), strict=True)
    assert sum(zeros) == int(sum(sizes) * 0.7)
    assert len({zero / size for zero, size in zip(zeros, sizes, strict=True)}) > 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", SETTINGS)
def test_two_of_four_is_exact(kind: str, mode: str) -> None:
    backbone = tiny_backbone(kind)
    method = magnitude(pattern="2:4", **SETTINGS[mode])
    shipped = drive(method, backbone, masked_runs.batches(backbone), 10)
    for matrix in backbone.anatomy.matrices():
        kept = (matrix.weight(shipped) != 0).reshape(-1, 4).sum(1)
        assert (kept == 2).all(), matrix.name


@pytest.mark.parametrize("mode", SETTINGS)
def test_prunes_the_smallest_of_what_was_trained(mode: str) -> None:
    backbone = tiny_backbone("bert")
    method = magnitude(sparsity=0.5, **SETTINGS[mode])
    view = method.prepare(backbone)
    taken: list[tuple[torch.Tensor, torch.Tensor]] = []

    def look(step: int) -> None:
        if not taken and has_sparsity(view, 0.5):
            taken.extend((w.detach().clone(), c.mask.clone()) for w, c in attached(view, Masked))

    Loop(method, view, masked_runs.batches(backbone), 10, after_step=look).train()
    for weight, change in attached(view, Masked):
        if mode == "one-shot at the end":
            assert weight[~change.mask].abs().max() <= weight[change.mask].abs().min()
    for (weight, change), (old, mask) in zip(attached(view, Masked), taken, strict=False):
        assert torch.equal(change.mask, mask), "the mask moved after its final sparsity"
        assert torch.equal(weight[~mask], old[~mask]) or mode == "gradual"


def test_gradual_pruning_follows_the_cubic_schedule_at_its_frequency() -> None:
    backbone = tiny_backbone("bert")
    method = magnitude(sparsity=0.8, refresh=0.2, start=0, end=0.8)
    view = method.prepare(backbone)
    found = []

    def look(step: int) -> None:
        _, change = next(attached(view, Masked))
        found.append(int((~change.mask).sum()))

    Loop(method, view, masked_runs.batches(backbone), 10, after_step=look).train()
    steps = [int(1024 * 0.8 * (1 - (1 - p / 0.8) ** 3)) for p in (0, 0.2, 0.4, 0.6)]
    assert found == [count for count in [*steps, int(1024 * 0.8)] for _ in range(2)]


@pytest.mark.parametrize(
    ("mode", "stages"),
    [
        ("gradual", [("train", 1.0)]),
        ("one-shot, tuned again", [("tune", 0.6), ("retrain", 0.4)]),
        ("one-shot at the end", [("tune", 1.0)]),
        ("one-shot at the start", [("retrain", 1.0)]),
    ],
)
def test_stages_share_one_budget(mode: str, stages: list[tuple[str, float]]) -> None:
    method = magnitude(**SETTINGS[mode])
    assert [(stage.name, stage.share) for stage in method.stages()] == stages


def test_a_checkpoint_counts_only_once_pruned() -> None:
    assert not magnitude(mode="one_shot", retrain=0).is_final(0.99)
    assert magnitude(mode="one_shot", retrain=0.5).is_final(0.6)
    assert not magnitude(mode="gradual", end=0.8).is_final(0.79)


@pytest.mark.parametrize("mode", ["gradual", "one-shot, tuned again"])
@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_pruned_weights_stay_zero(mode: str, kind: str) -> None:
    method = magnitude(sparsity=0.7, weight_decay=0.1, **SETTINGS[mode])
    masked_runs.assert_pruned_weights_stay_zero(method, kind)


@pytest.mark.parametrize("at", [2, 5, 9])
@pytest.mark.parametrize("mode", SETTINGS)
def test_resumes_in_the_middle(mode: str, at: int) -> None:
    masked_runs.assert_resumes(lambda: magnitude(**SETTINGS[mode]), "bert", at=at)


def test_a_mask_between_two_refreshes_survives_a_resume() -> None:
    masked_runs.assert_resumes(lambda: magnitude(refresh=0.5, start=0), "bert", at=8)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pattern": "2:4", "sparsity": 0.9}, "leave sparsity out"),
        ({"start": 0.9}, r"start \(0.9\) is after end \(0.8\)"),
        ({"sparsity": 1.0}, "less than 1"),
        ({"mode": "one-shot"}, "'one_shot' or 'gradual'"),
    ],
)
def test_refuses_settings_that_cannot_be(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        magnitude(**settings)


def test_settings_survive_a_round_trip() -> None:
    config = MagnitudeConfig.model_validate({"pattern": "2:4", "scope": "global"})
    assert config.sparsity == 0.5
    assert MagnitudeConfig.model_validate(config.model_dump(mode="json")) == config
