"""Wanda and SparseGPT prune by the inputs of each matrix, and correct what stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from method_steps import snapshot, train_steps
from pydantic import ValidationError
from some_data import EXAMPLES, SomeData
from sparsebench_methods.calibrated import block_inputs
from sparsebench_methods.sparsegpt import SparseGPT, SparseGPTConfig
from sparsebench_methods.wanda import Wanda, keep_highest_of_rows
from tiny_models import KINDS, tiny_backbone, tiny_batch

from sparsebench.models import anatomy_of
from sparsebench.sparsity import Masked, attached

if TYPE_CHECKING:
    from sparsebench_methods.calibrated import CalibratedPruning

    from sparsebench import Backbone

METHODS = (Wanda, SparseGPT)


def configured(kind: type[CalibratedPruning], **settings: Any) -> Any:
    return kind(kind.Config.model_validate({"examples": EXAMPLES, **settings}))


def pruned(method: Any, backbone: Backbone) -> Any:
    view = method.prepare(backbone).eval()
    method.begin_stage(view, method.stages()[-1], SomeData(backbone))
    return view


def inputs_of(backbone: Backbone, block: int) -> dict[str, torch.Tensor]:
    """All inputs of the matrices of a block, by plain hooks."""
    found: dict[str, list[torch.Tensor]] = {}
    model = backbone.model.eval()
    for matrix in backbone.anatomy.blocks[block].matrices:
        rows = found.setdefault(matrix.path, [])
        matrix.module(model).register_forward_pre_hook(
            lambda _, given, rows=rows: rows.append(given[0].detach().flatten(0, -2))
        )
    for batch in SomeData(backbone).batches(EXAMPLES, size=5):
        model(**batch)
    return {path: torch.cat(rows).double() for path, rows in found.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_wanda_prunes_each_row_by_size_and_input_norm(kind: str) -> None:
    view = pruned(configured(Wanda, sparsity=0.5), tiny_backbone(kind))
    plain = tiny_backbone(kind)
    for number in (0, 1):  # the second block gets its inputs from the first one, pruned
        inputs = inputs_of(plain, number)
        for matrix in plain.anatomy.blocks[number].matrices:
            weight = matrix.weight(plain.model).detach()
            scores = weight.double().abs() * inputs[matrix.path].norm(dim=0)
            module: Any = matrix.module(view)
            mask = module.maps[matrix.role.value].mask
            assert (mask.sum(1) == weight.shape[1] // 2).all()
            lowest_kept = scores.masked_fill(~mask, torch.inf).min(1).values
            highest_pruned = scores.masked_fill(mask, 0).max(1).values
            assert (highest_pruned <= lowest_kept * (1 + 1e-4)).all()
            with torch.no_grad():
                matrix.weight(plain.model).mul_(mask)


def corrected(weight: torch.Tensor, mask: torch.Tensor, hessian: torch.Tensor) -> torch.Tensor:
    """OBS column by column, with an inverse of what is left for every single column."""
    weight = weight.clone()
    for column in range(weight.shape[1]):
        inverse = torch.linalg.inv(hessian[column:, column:])
        gone = torch.where(mask[:, column], 0.0, weight[:, column])
        weight[:, column:] -= gone[:, None] / inverse[0, 0] * inverse[0]
    return weight * mask


@pytest.mark.parametrize("columns", [4, 8, 128])
@pytest.mark.parametrize("settings", [{"sparsity": 0.6}, {"pattern": "2:4", "sparsity": 0.5}])
def test_sparsegpt_corrects_as_the_brain_surgeon(columns: int, settings: dict[str, Any]) -> None:
    generator = torch.Generator().manual_seed(1)
    mixing = torch.randn(24, 24, generator=generator)
    inputs = torch.randn(200, 24, generator=generator) @ mixing
    weight = torch.randn(10, 24, generator=generator)
    method = configured(SparseGPT, columns=columns, **settings)
    mean = method.statistic(inputs) / len(inputs)
    mask, values = method.prune_matrix(weight, mean)
    damped = mean.double() + 0.01 * mean.diagonal().mean().double() * torch.eye(24)
    expected = corrected(weight.double(), mask, damped)
    torch.testing.assert_close(values.double(), expected, rtol=1e-3, atol=1e-3)
    assert int((values == 0).sum()) == int(240 * method.target_sparsity)
    if "pattern" in settings:
        assert (mask.reshape(10, 6, 4).sum(-1) == 2).all()


def test_the_output_error_shrinks_from_magnitude_to_wanda_to_sparsegpt() -> None:
    generator = torch.Generator().manual_seed(2)
    sizes = torch.linspace(0.1, 3, 64)
    inputs = torch.randn(500, 64, generator=generator) * sizes
    inputs = inputs + inputs.mean(1, keepdim=True)
    weight = torch.randn(32, 64, generator=generator)
    errors = []
    for method in (configured(Wanda), configured(SparseGPT)):
        mask, values = method.prune_matrix(weight, method.statistic(inputs) / 500)
        errors.append((inputs @ (weight - values * mask).T).norm().item())
    smallest = weight * keep_highest_of_rows(weight.abs(), 0.5)
    largest = (inputs @ (weight - smallest).T).norm()
    assert largest > 1.1 * errors[0]
    assert errors[0] > 1.05 * errors[1]


def test_an_input_that_is_always_zero_is_pruned_first() -> None:
    inputs = torch.randn(50, 8)
    inputs[:, 3] = 0
    method = configured(SparseGPT, sparsity=0.25)
    mask, values = method.prune_matrix(torch.randn(6, 8), method.statistic(inputs) / 50)
    assert not values[:, 3].any()
    assert values.isfinite().all()
    assert int((~mask).sum()) == 12


@pytest.mark.parametrize("sparsity", [0.0, 0.33, 0.5, 0.9])
def test_rows_share_the_zeros_to_the_last_one(sparsity: float) -> None:
    mask = keep_highest_of_rows(torch.rand(7, 13), sparsity)
    assert int((~mask).sum()) == int(91 * sparsity)
    counts = (~mask).sum(1)
    assert counts.max() - counts.min() <= 1


def test_padding_is_no_input() -> None:
    backbone = tiny_backbone("bert")
    (batch,) = SomeData(backbone).batches(3, size=3)
    padded = {**batch, "attention_mask": batch["attention_mask"].clone()}
    padded["attention_mask"][:, -2:] = 0
    block = backbone.anatomy.blocks[0]
    whole = block_inputs(backbone.model, block, batch)
    found = block_inputs(backbone.model, block, padded)
    for path, inputs in found.items():
        assert len(whole[path]) - len(inputs) == 6


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_update_of_low_rank_fills_no_zero(method: type[CalibratedPruning], kind: str) -> None:
    made, backbone = configured(method, retune="lora"), tiny_backbone(kind)
    before = snapshot(backbone.model)
    view = pruned(made, backbone)
    masks = [change.mask.clone() for _, change in attached(view, Masked)]
    trained = {name for name, p in view.named_parameters() if p.requires_grad}
    assert all(name.endswith((".A", ".B")) for name in trained - backbone.head)
    train_steps(made, view, tiny_batch(backbone), steps=3)
    model = made.deploy(view)
    weights = [matrix.weight(model) for matrix in anatomy_of(model).matrices()]
    zeros = [int((weight == 0).sum()) for weight in weights]
    assert zeros == [int(weight.numel() * 0.5) for weight in weights]
    assert all(not w[~m].any() for w, m in zip(weights, masks, strict=True))
    assert before.keys() == snapshot(model).keys()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pattern": "structured"}, "for heads and neurons use dsee"),
        ({"pattern": "2:4", "sparsity": 0.9}, "means a sparsity of 0.5"),
        ({"columns": 6}, "multiple of 4"),
        ({"tune_share": 1}, "less than 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SparseGPTConfig.model_validate(settings)
