from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsebench import UserError
from sparsebench.sparsity import Pattern, Scope, keep_highest, pruned_count, two_of_four

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 6).map(lambda groups: 4 * groups))
SPARSITIES = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 0.9, 1.0]))
SCORES = st.builds(
    lambda sizes, seed, kinds: [
        torch.randint(kinds, size, generator=torch.Generator().manual_seed(seed)).float()
        for size in sizes
    ],
    sizes=st.lists(SIZES, min_size=1, max_size=4),
    seed=st.integers(0, 1000),
    kinds=st.sampled_from([1, 2, 5, 10_000]),
)


def by_sorting(scores: torch.Tensor, pruned: int) -> torch.Tensor:
    """The mask that a stable sort of everything gives."""
    kept = torch.ones(scores.numel(), dtype=torch.bool)
    kept[scores.flatten().sort(stable=True).indices[:pruned]] = False
    return kept.view_as(scores)


@given(scores=SCORES, sparsity=SPARSITIES)
@settings(deadline=None)
def test_prunes_what_a_stable_sort_prunes_in_each_matrix(
    scores: list[torch.Tensor], sparsity: float
) -> None:
    for score, mask in zip(scores, keep_highest(scores, sparsity=sparsity), strict=True):
        assert torch.equal(mask, by_sorting(score, int(score.numel() * sparsity)))


@given(scores=SCORES, sparsity=SPARSITIES)
@settings(deadline=None)
def test_prunes_what_a_stable_sort_prunes_over_all(
    scores: list[torch.Tensor], sparsity: float
) -> None:
    masks = keep_highest(scores, sparsity=sparsity, scope=Scope.GLOBAL)
    every = torch.cat([score.flatten() for score in scores])
    kept = torch.cat([mask.flatten() for mask in masks])
    assert torch.equal(kept, by_sorting(every, int(every.numel() * sparsity)))


@given(scores=SCORES, sparsity=st.floats(0, 0.5), scope=st.sampled_from(Scope))
@settings(deadline=None)
def test_never_leaves_the_pattern_of_two_of_four(
    scores: list[torch.Tensor], sparsity: float, scope: Scope
) -> None:
    masks = keep_highest(scores, sparsity=sparsity, scope=scope, pattern=Pattern.TWO_OF_FOUR)
    kept = torch.cat([mask.flatten() for mask in masks])
    assert int((~kept).sum()) <= pruned_count(kept.numel(), sparsity)
    assert kept.view(-1, 4).sum(1).min() >= 2
    if scope is Scope.GLOBAL or sparsity == 0.5:
        assert int((~kept).sum()) == pruned_count(kept.numel(), sparsity)


@given(scores=SCORES)
@settings(deadline=None)
def test_keeps_the_two_highest_of_four(scores: list[torch.Tensor]) -> None:
    for score in scores:
        groups, kept = score.view(-1, 4), two_of_four(score).view(-1, 4)
        assert (kept.sum(1) == 2).all()
        assert (
            groups.masked_fill(~kept, 1e9).min(1).values
            >= groups.masked_fill(kept, -1).max(1).values
        ).all()


def test_scores_stored_by_column_count_by_row() -> None:
    scores = torch.zeros(6, 4).T
    (mask,) = keep_highest([scores], sparsity=0.5)
    assert mask.tolist() == [[False] * 6, [False] * 6, [True] * 6, [True] * 6]


def test_refuses_rows_that_do_not_divide_by_four() -> None:
    with pytest.raises(UserError, match=r"multiple of 4, not 6"):
        two_of_four(torch.randn(4, 6))


def test_refuses_more_than_half_of_two_of_four() -> None:
    with pytest.raises(UserError, match=r"half of the weights, not 0\.9"):
        keep_highest([torch.randn(4, 8)], sparsity=0.9, pattern=Pattern.TWO_OF_FOUR)


def test_is_exact_on_many_values_with_ties() -> None:
    scores = torch.randint(50, (700, 768), generator=torch.Generator().manual_seed(0)).float()
    for sparsity in (0.1, 0.5, 0.9):
        (mask,) = keep_highest([scores], sparsity=sparsity)
        assert torch.equal(mask, by_sorting(scores, int(scores.numel() * sparsity)))
