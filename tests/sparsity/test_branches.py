"""Branches compute and learn what a dense update would, without ever forming one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import KINDS, tiny_backbone, tiny_batch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from sparsebench.models import Role
from sparsebench.sparsity.branches import (
    Branched,
    LowRank,
    attach_branches,
    branches,
    detach_branches,
    fold_branches,
)
from sparsebench.sparsity.sparse_update import SparseUpdate

OUT, IN = 7, 5


def low_rank(shape: tuple[int, int] = (OUT, IN), rank: int = 2) -> LowRank:
    made = LowRank(shape, rank=rank, scale=1.5, std=0.5, generator=torch.Generator())
    torch.nn.init.normal_(made.B)
    return made


def sparse_update(positions: list[int], *, entries: int | None = None) -> SparseUpdate:
    count = len(positions) if entries is None else entries
    made = SparseUpdate(torch.tensor(positions), shape=(OUT, IN), entries=count, scale=0.5)
    torch.nn.init.normal_(made.values)
    return made


class Made(TorchDispatchMode):
    """Collects the shapes of all tensors that operators make, views of one apart."""

    def __init__(self, apart: torch.Tensor) -> None:
        super().__init__()
        self.apart = apart.untyped_storage().data_ptr()
        self.shapes: set[tuple[int, ...]] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple) else (result,):
            if not isinstance(value, torch.Tensor):
                continue
            if value.untyped_storage().data_ptr() != self.apart:
                self.shapes.add(tuple(value.shape))
        return result


@settings(deadline=None, max_examples=30)
@given(
    positions=st.lists(st.integers(0, OUT * IN - 1), min_size=1, unique=True),
    rows=st.sampled_from([(3,), (2, 4)]),
)
def test_sparse_update_equals_the_dense_product(
    positions: list[int], rows: tuple[int, ...]
) -> None:
    update = sparse_update(positions)
    inputs = torch.randn(*rows, IN, requires_grad=True)
    weights = torch.randn(*rows, OUT)
    dense = update.delta().detach().requires_grad_()
    other = inputs.detach().clone().requires_grad_()
    (update(inputs) * weights).sum().backward()
    (functional.linear(other, dense) * weights).sum().backward()
    torch.testing.assert_close(update(inputs), functional.linear(inputs, dense))
    torch.testing.assert_close(inputs.grad, other.grad)
    expected = 0.5 * dense.grad.flatten()[positions]
    torch.testing.assert_close(update.values.grad, expected)
    assert int((dense != 0).sum()) == len(positions)


def test_second_entry_in_a_row_adds_up() -> None:
    update = sparse_update([0, 1, 3])
    a, b, c = update.values.tolist()
    expected = torch.tensor([a, b, 0.0, c, 0.0]) / 2
    torch.testing.assert_close(update(torch.eye(IN))[:, 0], expected)


@pytest.mark.parametrize("needs_inputs", [True, False])
def test_no_matrix_of_full_size_is_made(*, needs_inputs: bool) -> None:
    """Beside the frozen weight, which is only read and turned."""
    inner = torch.nn.Linear(IN, OUT).requires_grad_(requires_grad=False)
    matrix = next(tiny_backbone("bert").anatomy.matrices(Role.QUERY))
    for update in (low_rank(), sparse_update([3, 8, 21])):
        inputs = torch.randn(2, 4, IN, requires_grad=needs_inputs)
        with Made(inner.weight) as made:
            Branched(inner, {matrix: update})(inputs).square().sum().backward()
        assert not made.shapes & {(OUT, IN), (IN, OUT)}
        assert made.shapes


def test_mixed_precision() -> None:
    update, low = sparse_update([3, 8, 21]), low_rank()
    inputs = torch.randn(6, IN, requires_grad=True)
    exact = update.add_to(low(inputs), inputs)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = update.add_to(low(inputs), inputs)
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, atol=0.1, rtol=0.05)
    rounded.float().sum().backward()
    assert update.values.grad.dtype == inputs.grad.dtype == torch.float32


def test_positions_that_stand_by_take_the_place_of_removed_ones() -> None:
    update = sparse_update([0, 11, 30, 12, 6, 33], entries=3)  # rows 0, 2, 6 and 2, 1, 6
    before = update.delta().detach()
    kept = torch.tensor([1, 2, 6])
    update.keep_rows(kept)
    torch.testing.assert_close(update.delta(), before[kept])
    assert update.values.shape == (3,)
    assert update.values[2] == 0
    assert update.support.tolist() == [[1, 2, 1], [1, 0, 2]]


def test_low_rank_rows() -> None:
    low = low_rank()
    before = low.delta().detach()
    low.keep_rows(torch.tensor([4, 6]))
    torch.testing.assert_close(low.delta(), before[[4, 6]])


@pytest.mark.parametrize("kind", KINDS)
def test_folding_keeps_the_function_and_leaves_no_trace(kind: str) -> None:
    backbone = tiny_backbone(kind)
    model, batch = backbone.model.eval().double(), tiny_batch(backbone)
    names = set(model.state_dict())
    matrices = list(backbone.anatomy.matrices(Role.QUERY, Role.VALUE, Role.FFN_IN))
    added = {m: low_rank(tuple(m.weight(model).shape)).double() for m in matrices}
    with torch.no_grad():
        plain = model(**batch).logits
        attach_branches(model, added)
        assert list(branches(model, LowRank)) == matrices
        assert backbone.anatomy == tiny_backbone(kind).anatomy
        with_branches = model(**batch).logits
        fold_branches(model)
        folded = model(**batch).logits
    assert (with_branches - plain).abs().max() > 1e-2
    torch.testing.assert_close(folded, with_branches, atol=1e-4, rtol=1e-4)
    assert set(model.state_dict()) == names


def test_detaching_gives_the_pretrained_model_back() -> None:
    backbone = tiny_backbone("gpt2")
    before = {name: tensor.clone() for name, tensor in backbone.model.state_dict().items()}
    matrix = next(backbone.anatomy.matrices(Role.VALUE))
    attach_branches(backbone.model, {matrix: low_rank((32, 32))})
    detach_branches(backbone.model)
    after = backbone.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("role", [Role.QUERY, Role.KEY, Role.VALUE])
def test_a_branch_of_a_fused_matrix_reaches_its_rows_only(role: Role) -> None:
    backbone = tiny_backbone("gpt2")
    matrix = next(backbone.anatomy.matrices(role))
    module = matrix.module(backbone.model)
    inputs = torch.randn(2, 3, 32)
    before = module(inputs)
    attach_branches(backbone.model, {matrix: low_rank((32, 32))})
    difference = matrix.module(backbone.model)(inputs) - before
    changed = difference.abs().amax((0, 1)) > 0
    expected = torch.zeros(96, dtype=torch.bool)
    expected[matrix.rows] = True
    assert torch.equal(changed, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_many_entries_are_multiplied_as_a_dense_matrix(dtype: torch.dtype) -> None:
    few, many = sparse_update([3]), sparse_update(list(range(0, OUT * IN, 3)))
    for update in (few, many):
        inputs = torch.randn(4, 3, IN, dtype=dtype, requires_grad=True)
        grad = torch.randn(4, 3, OUT, dtype=dtype)
        (update(inputs) * grad).sum().backward()
        values = update.values.detach().clone().requires_grad_()
        twin = inputs.detach().clone().requires_grad_()
        matrix = torch.zeros(OUT, IN).index_put(tuple(update.support), 0.5 * values)
        expected = functional.linear(twin, matrix.to(dtype))
        (expected * grad).sum().backward()
        close = {"rtol": 2e-2, "atol": 2e-2} if dtype is torch.bfloat16 else {}
        torch.testing.assert_close(update(inputs), expected, **close)
        torch.testing.assert_close(update.values.grad, values.grad, **close)
        torch.testing.assert_close(inputs.grad, twin.grad, **close)
