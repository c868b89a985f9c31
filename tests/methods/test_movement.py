from __future__ import annotations

import math

import masked_runs
import pytest
import torch
from contract_loop import Loop
from sparsebench_methods.movement import Movement, MovementConfig, ScoredWeight
from sparsebench_methods.soft_movement import SoftMovement, SoftMovementConfig
from tiny_models import KINDS, tiny_backbone, tiny_batch

from sparsebench.sparsity import Scope, attached, has_sparsity


def test_scores_gather_minus_weight_times_gradient() -> None:
    """By hand: dL/dS = G * W and dL/dW = G * M, with G the gradient of the masked weight."""
    backbone = tiny_backbone("bert")
    method = Movement(MovementConfig(sparsity=0.5, start=0, end=0))
    view = method.prepare(backbone).eval()
    for _, change in attached(view, ScoredWeight):
        torch.nn.init.normal_(change.scores)
    method.before_step(view, 0.5)
    view(**tiny_batch(backbone)).loss.backward()
    first = view.get_submodule("bert.encoder.layer.0.intermediate.dense")
    weight, change = next(first.parts())  # type: ignore[operator]
    product = (weight * change.mask).detach().requires_grad_()
    change.forward = lambda _: product
    view(**tiny_batch(backbone)).loss.backward()
    g = product.grad
    assert g is not None
    torch.testing.assert_close(change.scores.grad, g * weight, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(weight.grad, g * change.mask, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("method", [Movement, SoftMovement])
@pytest.mark.parametrize("kind", KINDS)
def test_trains_all_but_the_embeddings_and_scores_at_their_own_rate(
    method: type[Movement | SoftMovement], kind: str
) -> None:
    backbone = tiny_backbone(kind)
    embeddings = [
        name
        for name, module in backbone.model.named_modules()
        if isinstance(module, torch.nn.Embedding) and "relative" not in name
    ]
    plain = {
        name: p.numel()
        for name, p in backbone.model.named_parameters()
        if name.rpartition(".")[0] not in embeddings and ".embeddings.LayerNorm." not in name
    }
    matrices = sum(m.weight(backbone.model).numel() for m in backbone.anatomy.matrices())
    made = method(method.Config(weight_decay=0.1))  # type: ignore[arg-type]
    view = made.prepare(backbone)
    groups = made.parameter_groups(view)
    *rest, scores = groups
    assert scores["lr"] == 1e-2
    assert scores["weight_decay"] == 0
    assert sum(p.numel() for p in scores["params"]) == matrices
    assert sum(p.numel() for group in rest for p in group["params"]) == sum(plain.values())
    assert all("lr" not in group for group in rest)
    assert all((score == 0).all() for score in scores["params"])


@pytest.mark.parametrize("method", [Movement, SoftMovement])
def test_the_norm_of_the_embedding_module_is_frozen_with_it_and_no_norm_of_a_block(
    method: type[Movement | SoftMovement],
) -> None:
    for kind in ("bert", "roberta"):
        view = method().prepare(tiny_backbone(kind))
        norms = {n: p.requires_grad for n, p in view.named_parameters() if "LayerNorm" in n}
        frozen = [name for name, trains in norms.items() if not trains]
        assert frozen == [f"{kind}.embeddings.LayerNorm.{part}" for part in ("weight", "bias")]
    view = method().prepare(tiny_backbone("gpt2"))
    frozen = [name for name, p in view.named_parameters() if not p.requires_grad]
    assert frozen == ["transformer.wte.weight", "transformer.wpe.weight"]


@pytest.mark.parametrize("method", [Movement, SoftMovement])
def test_embeddings_may_train_too(method: type[Movement | SoftMovement]) -> None:
    backbone = tiny_backbone("bert")
    view = method(method.Config(train_embeddings=True)).prepare(backbone)  # type: ignore[call-arg]
    assert all(p.requires_grad for p in view.parameters())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9])
def test_movement_ships_exactly_the_asked_zeros(kind: str, sparsity: float) -> None:
    config = MovementConfig(sparsity=sparsity, learning_rate=1e-3)
    masked_runs.assert_trains_and_deploys(
        Movement(config), kind, zeros=lambda size: int(size * sparsity)
    )


def test_movement_prunes_the_lowest_scores_of_all() -> None:
    backbone = tiny_backbone("t5")
    method = Movement(MovementConfig(sparsity=0.6, scope=Scope.GLOBAL))
    view = method.prepare(backbone)
    Loop(method, view, masked_runs.batches(backbone), 6).train()
    assert has_sparsity(view, 0.6, scope=Scope.GLOBAL)
    parts = [change for _, change in attached(view, ScoredWeight)]
    kept = torch.cat([part.scores[part.mask] for part in parts])
    pruned = torch.cat([part.scores[~part.mask] for part in parts])
    assert pruned.max() <= kept.min()
    zeros, sizes = zip(*masked_runs.zeros_by_matrix(method.deploy(view)), strict=True)
    assert sum(zeros) == int(sum(sizes) * 0.6)


def test_a_weight_pruned_by_movement_keeps_its_value_and_gets_no_gradient() -> None:
    backbone = tiny_backbone("bert")
    method = Movement(MovementConfig(sparsity=0.5, start=0, end=0, learning_rate=1e-2))
    view = method.prepare(backbone)
    with torch.no_grad():
        for _, change in attached(view, ScoredWeight):
            change.scores.copy_(torch.linspace(-50, 50, change.scores.numel()).view_as(change.mask))
    before = [weight.detach().clone() for weight, _ in attached(view, ScoredWeight)]
    Loop(method, view, masked_runs.batches(backbone), 4).train()
    for (weight, change), old in zip(attached(view, ScoredWeight), before, strict=True):
        assert torch.equal(weight[~change.mask], old[~change.mask])
        assert not torch.equal(weight[change.mask], old[change.mask])


@pytest.mark.parametrize("make", [Movement, SoftMovement])
def test_pruned_weights_stay_zero(make: type[Movement | SoftMovement]) -> None:
    config = {"learning_rate": 1e-2, "weight_decay": 0.1, "score_learning_rate": 1.0}
    masked_runs.assert_pruned_weights_stay_zero(make(make.Config(**config)))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
@pytest.mark.parametrize("make", [Movement, SoftMovement])
def test_resumes_in_the_middle(make: type[Movement | SoftMovement], kind: str) -> None:
    masked_runs.assert_resumes(make, kind, at=7)


def test_soft_movement_keeps_what_the_sigmoid_of_its_score_says() -> None:
    backbone = tiny_backbone("bert")
    method = SoftMovement(SoftMovementConfig(threshold=0.3, start=0.2, end=0.6))
    view = method.prepare(backbone)
    for _, change in attached(view, ScoredWeight):
        torch.nn.init.normal_(change.scores)
    for progress, tau in ((0.0, 0.0), (0.2, 0.0), (0.4, 0.3 * (1 - 0.5**3)), (0.6, 0.3), (1, 0.3)):
        method.before_step(view, progress)
        for _, change in attached(view, ScoredWeight):
            assert torch.equal(change.mask, change.scores.sigmoid() > tau)
    assert not method.is_final(0.5)
    assert method.is_final(0.6)


def test_soft_movement_penalises_the_mean_of_the_sigmoids() -> None:
    backbone = tiny_backbone("bert")
    method = SoftMovement(SoftMovementConfig(penalty=400, start=0, end=1))
    view = method.prepare(backbone)
    parts = [change for _, change in attached(view, ScoredWeight)]
    for part in parts:
        torch.nn.init.normal_(part.scores)
    method.before_step(view, 0.0)
    assert method.penalty(view) is None
    method.before_step(view, 0.5)
    penalty = method.penalty(view)
    assert penalty is not None
    mean = sum(part.scores.sigmoid().mean() for part in parts) / len(parts)
    torch.testing.assert_close(penalty, 400 * (1 - 0.5**3) * mean)
    penalty.backward()
    s = parts[0].scores.sigmoid()
    expected = 400 * 0.875 / len(parts) / s.numel() * s * (1 - s)
    torch.testing.assert_close(parts[0].scores.grad, expected)


def test_soft_movement_never_empties_a_matrix() -> None:
    backbone = tiny_backbone("bert")
    method = SoftMovement(SoftMovementConfig(keep_at_least=0.01))
    view = method.prepare(backbone)
    for _, change in attached(view, ScoredWeight):
        torch.nn.init.uniform_(change.scores, -20, -10)
    method.before_step(view, 1.0)
    for _, change in attached(view, ScoredWeight):
        assert int(change.mask.sum()) == math.ceil(0.01 * change.mask.numel())


@pytest.mark.parametrize("kind", KINDS)
def test_soft_movement_prunes_and_ships_a_plain_model(kind: str) -> None:
    config = SoftMovementConfig(score_learning_rate=1.0, learning_rate=1e-3)
    masked_runs.assert_trains_and_deploys(SoftMovement(config), kind, zeros=None)
    backbone = tiny_backbone(kind)
    method = SoftMovement(config)
    loop = Loop(method, method.prepare(backbone), masked_runs.batches(backbone), 12)
    loop.train()
    shares = [z / n for z, n in masked_runs.zeros_by_matrix(method.deploy(loop.model))]
    assert max(shares) > 0.3
    assert len(set(shares)) > 1
