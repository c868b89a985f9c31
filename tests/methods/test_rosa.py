"""RoSA adds an update of low rank and one of the weights with the highest gradients."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from method_steps import NO_DATA, assert_survives_a_kill, snapshot, train_steps
from pydantic import ValidationError
from some_data import EXAMPLES, SomeData, plain_scores
from sparsebench_methods.rosa import RoSA, RoSAConfig
from tiny_models import KINDS, tiny_backbone, tiny_batch

from sparsebench import Backbone, Role
from sparsebench.sparsity.branches import branches
from sparsebench.sparsity.sparse_update import LowRankAndSparse

DENSITY = 0.02
RANK = 3
ALPHA = 12.0


def rosa(**settings: Any) -> RoSA:
    defaults = {"rank": RANK, "alpha": ALPHA, "density": DENSITY, "examples": EXAMPLES}
    return RoSA(RoSAConfig.model_validate({**defaults, **settings}))


def warmed(method: RoSA, backbone: Backbone) -> Any:
    """The training view at the end of the first stage."""
    view = method.prepare(backbone).eval()
    method.begin_stage(view, method.stages()[0], NO_DATA)
    train_steps(method, view, tiny_batch(backbone), steps=3)
    return view


def parts(view: Any) -> dict[str, Any]:
    return {matrix.name: update for matrix, update in branches(view, LowRankAndSparse).items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("score", ["fisher", "gradient"])
def test_weights_are_chosen_by_the_gradients_after_the_warm_up(kind: str, score: str) -> None:
    backbone, method = tiny_backbone(kind), rosa(score=score)
    data = SomeData(backbone)
    view = warmed(method, backbone)
    merged = method.deploy(copy.deepcopy(view))
    before = snapshot(view)
    expected = plain_scores(merged, score, data)
    method.begin_stage(view.eval(), method.stages()[1], data)
    updates = parts(view)
    assert set(updates) == set(expected)
    for name, update in updates.items():
        scores = expected[name]
        count = max(1, round(DENSITY * scores.numel()))
        picked = scores[tuple(update.sparse.support)]
        assert picked.numel() == count
        assert (picked >= scores.flatten().topk(count).values.min() * (1 - 1e-3)).all()
        assert not update.sparse.values.any()
    after = snapshot(view)
    assert all(torch.equal(after[name], value) for name, value in before.items())


def added_to(raw: torch.Tensor, update: Any, role: Role, kind: str) -> None:
    """Add ``alpha / rank * B A + S`` to a module's weight, for which GPT-2 has a layout apart."""
    low, sparse = update.low, update.sparse
    dense = torch.zeros(low.B.shape[0], low.A.shape[1])
    for row, column, value in zip(*sparse.places, sparse.values, strict=True):
        dense[row, column] = value
    change = ALPHA / RANK * (low.B @ low.A) + dense
    if kind != "gpt2":
        raw += change
        return
    fused = {Role.QUERY: 0, Role.KEY: 1, Role.VALUE: 2}
    first = fused[role] * change.shape[0] if role in fused else 0
    raw[:, first : first + change.shape[0]] += change.T


@pytest.mark.parametrize("kind", KINDS)
def test_deployed_weights_are_those_of_the_closed_form(kind: str) -> None:
    backbone, method = tiny_backbone(kind), rosa()
    before = snapshot(backbone.model)
    view = warmed(method, backbone)
    method.begin_stage(view, method.stages()[1], SomeData(backbone))
    train_steps(method, view, tiny_batch(backbone), steps=3)
    expected = {name: value.clone() for name, value in before.items()}
    with torch.no_grad():
        for matrix, update in branches(view, LowRankAndSparse).items():
            added_to(expected[f"{matrix.path}.weight"], update, matrix.role, kind)
            assert update.sparse is not None
            assert update.sparse.values.any()
    after = snapshot(method.deploy(view))
    assert after.keys() == before.keys()
    for name in before.keys() - backbone.head:
        torch.testing.assert_close(after[name], expected[name], rtol=1e-6, atol=1e-6)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    weights = {f"{matrix.path}.weight" for matrix in backbone.anatomy.matrices()}
    assert changed == weights | backbone.head


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_updates_of_each_stage_and_the_head_train(kind: str) -> None:
    backbone, method = tiny_backbone(kind), rosa(targets=["query", "ffn_out"])
    view = warmed(method, backbone)

    def endings() -> set[str]:
        trained = {name for name, p in view.named_parameters() if p.requires_grad}
        assert trained > backbone.head
        return {name.rpartition(".")[2] for name in trained - backbone.head}

    assert endings() == {"A", "B"}
    method.begin_stage(view, method.stages()[1], SomeData(backbone))
    assert endings() == {"A", "B", "values"}
    assert all(parameter.grad is None for parameter in view.parameters())
    adapted = backbone.anatomy.matrices(Role.QUERY, Role.FFN_OUT)
    assert set(parts(view)) == {matrix.name for matrix in adapted}


def test_without_a_warm_up_weights_are_chosen_at_the_pretrained_ones() -> None:
    backbone, method = tiny_backbone("bert"), rosa(warmup_share=0, scope="global")
    data = SomeData(backbone)
    expected = plain_scores(tiny_backbone("bert").model, "fisher", data)
    (stage,) = method.stages()
    view = method.prepare(backbone).eval()
    method.begin_stage(view, stage, data)
    every = torch.cat([scores.flatten() for scores in expected.values()])
    count = every.numel() - int(every.numel() * (1 - DENSITY))
    sparse = {name: update.sparse for name, update in parts(view).items() if update.sparse}
    picked = torch.cat([expected[name][tuple(part.support)] for name, part in sparse.items()])
    assert picked.numel() == count
    assert (picked >= every.topk(count).values.min() * (1 - 1e-3)).all()


@pytest.mark.parametrize("at", [1, 2, 5])
def test_a_run_killed_within_or_between_stages_resumes_exactly(at: int) -> None:
    def make() -> RoSA:
        return rosa(warmup_share=0.25, dropout=0.1)

    assert_survives_a_kill(make, tiny_backbone("gpt2"), at=at)


@pytest.mark.parametrize("settings", [{"density": 0}, {"warmup_share": 1}, {"rank": 0}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(settings))):
        rosa(**settings)
