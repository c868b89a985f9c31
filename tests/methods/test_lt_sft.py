"""LT-SFT trains the weights that moved most, from their pretrained values, and no others."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from method_steps import NO_DATA, assert_survives_a_kill, snapshot, train_steps
from pydantic import ValidationError
from sparsebench_methods.lt_sft import LTSFT, LTSFTConfig
from tiny_models import KINDS, tiny_backbone, tiny_batch

from sparsebench import Backbone, Role
from sparsebench.models import anatomy_of
from sparsebench.sparsity.branches import branches
from sparsebench.sparsity.sparse_update import SparseUpdate

DENSITY = 0.02

Values = dict[str, torch.Tensor]


def lt_sft(**settings: Any) -> LTSFT:
    return LTSFT(LTSFTConfig.model_validate({"density": DENSITY, **settings}))


def tuned(method: LTSFT, backbone: Backbone) -> tuple[Any, Values]:
    """The training view at the end of the first stage, and the values of its parameters."""
    view = method.prepare(backbone).eval()
    method.begin_stage(view, method.stages()[0], NO_DATA)
    train_steps(method, view, tiny_batch(backbone), steps=3)
    return view, snapshot(view)


def sparse(method: LTSFT, view: Any) -> dict[str, SparseUpdate]:
    """Begin the second stage; return the update of every matrix by its name."""
    method.begin_stage(view, method.stages()[1], NO_DATA)
    return {matrix.name: update for matrix, update in branches(view, SparseUpdate).items()}


def changes(backbone: Backbone, before: Values, after: Values) -> Values:
    """How far every weight of the blocks has moved, by the name of its matrix."""
    return {
        m.name: (m.view(after[f"{m.path}.weight"]) - m.view(before[f"{m.path}.weight"])).abs()
        for m in backbone.anatomy.matrices()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_of_the_whole_model_that_moved_most_are_chosen(kind: str) -> None:
    backbone, method = tiny_backbone(kind), lt_sft()
    before = snapshot(backbone.model)
    view, after = tuned(method, backbone)
    moved = changes(backbone, before, after)
    updates = sparse(method, view)
    every = torch.cat([change.flatten() for change in moved.values()]).sort(descending=True).values
    count = every.numel() - int(every.numel() * (1 - DENSITY))
    assert sum(update.values.numel() for update in updates.values()) == count
    for name, change in moved.items():
        chosen = torch.zeros_like(change, dtype=torch.bool)
        if name in updates:
            chosen[tuple(updates[name].support)] = True
        assert chosen[change > every[count - 1]].all()
        assert not chosen[change < every[count - 1]].any()


def test_weights_may_compete_within_each_of_some_matrices() -> None:
    backbone, method = tiny_backbone("bert"), lt_sft(scope="per_matrix", targets=["ffn_in"])
    before = snapshot(backbone.model)
    view, after = tuned(method, backbone)
    moved = changes(backbone, before, after)
    updates = sparse(method, view)
    assert set(updates) == {matrix.name for matrix in backbone.anatomy.matrices(Role.FFN_IN)}
    for name, update in updates.items():
        count = round(DENSITY * moved[name].numel())
        assert update.values.numel() == count
        lowest = moved[name].flatten().topk(count).values.min()
        assert (moved[name][tuple(update.support)] >= lowest).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_and_the_head_return_to_the_first_values(kind: str) -> None:
    backbone, method = tiny_backbone(kind), lt_sft()
    before, structure = snapshot(backbone.model), set(backbone.model.state_dict())
    view, after = tuned(method, backbone)
    assert set(view.state_dict()) == structure  # a checkpoint has no copy of the pretrained values
    assert all(not torch.equal(before[name], after[name]) for name in backbone.head)
    sparse(method, view)
    parameters = snapshot(view)
    for name, value in before.items():
        inner = name if name in parameters else name.replace(".weight", ".inner.weight")
        inner = inner if inner in parameters else name.replace(".bias", ".inner.bias")
        assert torch.equal(parameters[inner], value), name
    assert not [key for module in view.modules() for key in vars(module) if "pretrained" in key]


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_chosen_weights_and_the_head_differ_in_the_end(kind: str) -> None:
    backbone, method = tiny_backbone(kind), lt_sft()
    before = snapshot(backbone.model)
    view, _ = tuned(method, backbone)
    updates = sparse(method, view)
    trained = {name for name, p in view.named_parameters() if p.requires_grad}
    assert all(name.endswith(".values") for name in trained - backbone.head)
    train_steps(method, view, tiny_batch(backbone), steps=3)
    values = {name: (u.support.clone(), u.values.detach().clone()) for name, u in updates.items()}
    model = method.deploy(view)
    after = snapshot(model)
    assert after.keys() == before.keys()
    expected = {name: value.clone() for name, value in before.items()}
    for matrix in anatomy_of(model).matrices():
        if matrix.name in values:
            (rows, columns), added = values[matrix.name]
            matrix.view(expected[f"{matrix.path}.weight"])[rows, columns] += added
            assert added.count_nonzero()
    for name in before.keys() - backbone.head:
        assert torch.equal(after[name], expected[name]), name
    assert all(not torch.equal(before[name], after[name]) for name in backbone.head)


@pytest.mark.parametrize("at", [2, 4, 6])
def test_a_run_killed_within_or_between_stages_resumes_exactly(at: int) -> None:
    assert_survives_a_kill(lt_sft, tiny_backbone("bert"), at=at)


def test_a_factor_of_the_second_stage_scales_its_learning_rates() -> None:
    tune, sparse_stage = lt_sft(tune_share=0.25, sparse_rate=8).stages()
    assert (tune.share, tune.learning_rate) == (0.25, 1)
    assert (sparse_stage.share, sparse_stage.learning_rate) == (0.75, 8)


@pytest.mark.parametrize("settings", [{"density": 0}, {"tune_share": 1}, {"targets": []}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(settings))):
        lt_sft(**settings)
