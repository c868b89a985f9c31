from __future__ import annotations

import masked_runs
import pytest
import torch
from contract_loop import Loop, drive
from method_steps import NO_DATA
from pydantic import ValidationError
from sparsebench_methods.magnitude import Magnitude, MagnitudeConfig
from tiny_models import KINDS, tiny_backbone, tiny_batch

from sparsebench.models import anatomy_of
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
    masked_runs.assert_trains_and_deploys(method, kind, zeros=lambda size: int(size * 0.7))


@pytest.mark.parametrize("mode", SETTINGS)
def test_ships_exactly_the_asked_zeros_in_total(mode: str) -> None:
    backbone = tiny_backbone("gpt2")
    method = magnitude(sparsity=0.7, scope="global", **SETTINGS[mode])
    deployed = drive(method, backbone, masked_runs.batches(backbone), 10)
    zeros, sizes = zip(*masked_runs.zeros_by_matrix(deployed), strict=True)
    assert sum(zeros) == int(sum(sizes) * 0.7)
    assert len({zero / size for zero, size in zip(zeros, sizes, strict=True)}) > 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", SETTINGS)
def test_two_of_four_is_exact(kind: str, mode: str) -> None:
    backbone = tiny_backbone(kind)
    method = magnitude(pattern="2:4", **SETTINGS[mode])
    deployed = drive(method, backbone, masked_runs.batches(backbone), 10)
    for matrix in backbone.anatomy.matrices():
        kept = (matrix.weight(deployed) != 0).reshape(-1, 4).sum(1)
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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", SETTINGS)
def test_structured_pruning_removes_heads_and_neurons(kind: str, mode: str) -> None:
    backbone = tiny_backbone(kind)
    method = magnitude(sparsity=0.5, pattern="structured", **SETTINGS[mode])
    before = [(b.attentions, b.ffn) for b in backbone.anatomy.blocks]
    view = method.prepare(backbone)
    Loop(method, view, masked_runs.batches(backbone), 10).train()
    batch = tiny_batch(backbone, seed=7)
    in_training = view.eval()(**batch).logits
    deployed = method.deploy(view)
    torch.testing.assert_close(deployed(**batch).logits, in_training, rtol=1e-4, atol=1e-5)
    for block, (attentions, ffn) in zip(anatomy_of(deployed).blocks, before, strict=True):
        assert [a.heads for a in block.attentions] == [a.heads // 2 for a in attentions]
        assert block.ffn is not None
        assert block.ffn.neurons == ffn.neurons // 2
    assert not any(zeros for zeros, _ in masked_runs.zeros_by_matrix(deployed))


def test_structured_pruning_over_all_layers_spares_one_unit_of_each() -> None:
    backbone = tiny_backbone("bert")
    with torch.no_grad():
        for matrix in backbone.anatomy.blocks[0].matrices:
            matrix.weight(backbone.model).mul_(0.01)
    method = magnitude(
        sparsity=0.9, pattern="structured", scope="global", mode="one_shot", learning_rate=1e-5
    )
    deployed = drive(method, backbone, masked_runs.batches(backbone), 4)
    blocks = anatomy_of(deployed).blocks
    assert [block.attentions[0].heads for block in blocks] == [1, 1, 1]
    neurons = [block.ffn.neurons for block in blocks if block.ffn]
    assert neurons[0] == 1
    assert sum(neurons) == 3 * 48 - int(3 * 48 * 0.9)


@pytest.mark.parametrize(
    ("sparsity", "remarks"),
    [
        (0.5, ()),
        (
            0.4,
            (
                "removes 25.0% of the heads (3 of 12), not 40.0%: rounded",
                "removes 39.6% of the neurons (57 of 144), not 40.0%: rounded",
            ),
        ),
    ],
)
def test_structured_pruning_says_how_it_has_rounded(
    sparsity: float, remarks: tuple[str, ...]
) -> None:
    backbone = tiny_backbone("bert")
    method = magnitude(sparsity=sparsity, pattern="structured", learning_rate=1e-5)
    assert method.remarks() == ()
    drive(method, backbone, masked_runs.batches(backbone), 4)
    assert method.remarks() == remarks


def test_structured_pruning_takes_the_units_of_smallest_norm() -> None:
    backbone = tiny_backbone("gpt2")
    attention = backbone.anatomy.blocks[1].attentions[0]
    ffn = backbone.anatomy.blocks[1].ffn
    assert ffn is not None
    with torch.no_grad():
        for head in (1, 2):
            rows = slice(head * 8, head * 8 + 8)
            for matrix in attention.matrices[:3]:
                matrix.weight(backbone.model)[rows] *= 0.5
            attention.output.weight(backbone.model)[:, rows] *= 0.5
        ffn.up.weight(backbone.model)[::2] *= 0.5
        ffn.down.weight(backbone.model)[:, ::2] *= 0.5
        value = attention.value.weight(backbone.model).clone()
        out = ffn.down.weight(backbone.model).clone()
    method = magnitude(sparsity=0.5, pattern="structured", mode="one_shot", retrain=1)
    view = method.prepare(backbone)
    method.begin_stage(view, method.stages()[0], NO_DATA)
    deployed = method.deploy(view)
    kept = torch.cat([value[:8], value[24:]])
    block = anatomy_of(deployed).blocks[1]
    assert block.ffn is not None
    assert torch.equal(block.attentions[0].value.weight(deployed), kept)
    assert torch.equal(block.ffn.down.weight(deployed), out[:, 1::2])


@pytest.mark.parametrize("mode", ["gradual", "one-shot, tuned again"])
def test_structured_pruning_resumes_in_the_middle(mode: str) -> None:
    masked_runs.assert_resumes(
        lambda: magnitude(sparsity=0.5, pattern="structured", **SETTINGS[mode]), "bert", at=8
    )
