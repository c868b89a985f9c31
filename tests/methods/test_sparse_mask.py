"""A sparse mask trains the weights that the scores choose, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from method_steps import NO_DATA, snapshot, train_steps
from some_data import EXAMPLES, SomeData, plain_scores
from sparsebench_methods.sparse_mask import Score, SparseMask, SparseMaskConfig
from tiny_models import KINDS, tiny_backbone, tiny_batch

from sparsebench.sparsity.branches import branches
from sparsebench.sparsity.sparse_update import SparseUpdate

if TYPE_CHECKING:
    from sparsebench import Backbone


def begun(backbone: Backbone, data: Any = NO_DATA, **settings: Any) -> tuple[SparseMask, Any]:
    method = SparseMask(SparseMaskConfig.model_validate({"examples": EXAMPLES, **settings}))
    view = method.prepare(backbone).eval()
    method.begin_stage(view, method.stages()[0], data)
    return method, view


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("score", [Score.GRADIENT, Score.SNIP, Score.FISHER])
def test_the_highest_scores_are_chosen(kind: str, score: Score) -> None:
    data = SomeData(tiny_backbone(kind))
    expected = plain_scores(tiny_backbone(kind).model, score, data)
    _, view = begun(tiny_backbone(kind), data, score=score, share=0.02)
    updates = branches(view, SparseUpdate)
    assert {matrix.name for matrix in updates} == set(expected)
    for matrix, update in updates.items():
        scores = expected[matrix.name]
        count = round(0.02 * scores.numel())
        threshold = scores.flatten().topk(count).values.min()
        picked = scores[tuple(update.support)]
        assert picked.numel() == count
        assert (picked >= threshold * (1 - 1e-3)).all()


def test_without_gradients_no_data_is_looked_at() -> None:
    backbone = tiny_backbone("bert")
    weights = {m.name: m.weight(backbone.model).abs() for m in backbone.anatomy.matrices()}
    _, view = begun(backbone, score="magnitude", share=0.01)
    for matrix, update in branches(view, SparseUpdate).items():
        picked = weights[matrix.name][tuple(update.support)]
        assert picked.min() >= weights[matrix.name].flatten().topk(picked.numel()).values.min()
    _, one = begun(tiny_backbone("bert"), score="random")
    _, other = begun(tiny_backbone("bert"), score="random")
    both = (branches(view, SparseUpdate).values() for view in (one, other))
    assert all(torch.equal(a.support, b.support) for a, b in zip(*both, strict=True))


def test_scores_may_compete_across_matrices() -> None:
    backbone = tiny_backbone("bert")
    _, view = begun(backbone, SomeData(tiny_backbone("bert")), scope="global", share=0.01)
    updates = branches(view, SparseUpdate)
    total = sum(matrix.weight(view).numel() for matrix in backbone.anatomy.matrices())
    counts = [update.values.numel() for update in updates.values()]
    assert sum(counts) == total - int(total * 0.99)
    assert len(set(counts)) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_chosen_weights_and_the_head_change(kind: str) -> None:
    backbone = tiny_backbone(kind)
    data = SomeData(backbone)
    before = snapshot(backbone.model)
    method, view = begun(backbone, data, share=0.02)
    chosen = {m: update.support for m, update in branches(view, SparseUpdate).items()}
    train_steps(method, view, tiny_batch(backbone), steps=3)
    model: Any = method.deploy(view)
    after = snapshot(model)
    assert after.keys() == before.keys()
    matrices = {f"{matrix.path}.weight" for matrix in chosen}
    for name in before.keys() - matrices - backbone.head:
        assert torch.equal(before[name], after[name]), name
    for matrix, support in chosen.items():
        name = f"{matrix.path}.weight"
        changed = matrix.view(before[name]) != matrix.view(after[name])
        allowed = torch.zeros_like(changed)
        allowed[tuple(support)] = True
        assert not changed[~allowed].any()
        assert changed.any() or kind == "t5"  # in T5, a gate may be dead


def test_nothing_of_the_size_of_a_matrix_trains_or_is_left_of_the_look() -> None:
    backbone = tiny_backbone("bert")
    method, view = begun(backbone, SomeData(backbone), share=0.02)
    trained = {name for name, p in view.named_parameters() if p.requires_grad}
    assert {name for name in trained if name.endswith(".values")} == trained - backbone.head
    assert all(parameter.grad is None for parameter in view.parameters())
    (group,) = [g for g in method.optimizer(view).param_groups if g["params"][0].ndim == 1]
    sizes = sum(p.numel() for p in group["params"])
    total = sum(m.weight(view).numel() for m in backbone.anatomy.matrices())
    assert sizes < 0.03 * total
