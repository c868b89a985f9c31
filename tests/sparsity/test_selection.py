from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsebench.sparsity import masks, without_lowest

SHAPES = {
    "normal": lambda x: x,
    "heavy tails": lambda x: x / (x.abs() + 1e-4).pow(3),
    "few values": lambda x: (3 * x).round(),
    "one value": lambda x: 0 * x + 2,
    "half of them equal": lambda x: x.clamp(min=0),
    "columns apart": lambda x: x + 100 * (torch.arange(x.shape[1]) % 96),
    "in order": lambda x: x.flatten().sort().values.view_as(x),
    "infinite": lambda x: x.masked_fill(x > 0, torch.inf).masked_fill(x < -1, -torch.inf),
    "stored by column": lambda x: x.T.contiguous().T,
    "bf16": lambda x: x.bfloat16(),
}


def by_sorting(scores: list[torch.Tensor], pruned: int) -> list[torch.Tensor]:
    """The masks that a stable sort of everything gives."""
    every = torch.cat([score.flatten() for score in scores])
    kept = torch.ones(every.numel(), dtype=torch.bool)
    kept[every.sort(stable=True).indices[:pruned]] = False
    parts = kept.split([score.numel() for score in scores])
    return [part.view(score.shape) for part, score in zip(parts, scores, strict=True)]


def assert_as_by_sorting(scores: list[torch.Tensor], pruned: int) -> None:
    pairs = zip(without_lowest(scores, pruned), by_sorting(scores, pruned), strict=True)
    assert all(torch.equal(found, expected) for found, expected in pairs)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.9999, 1.0])
def test_finds_what_sorting_finds(shape: str, share: float) -> None:
    scores = SHAPES[shape](torch.randn(300, 768, generator=torch.Generator().manual_seed(1)))
    assert_as_by_sorting([scores], int(share * scores.numel()))


@given(
    parts=st.lists(st.lists(st.integers(-5, 5), min_size=1, max_size=60), min_size=1, max_size=4),
    share=st.floats(0, 1),
    sample=st.sampled_from([4, 8, 1000]),
)
@settings(deadline=None, max_examples=300)
def test_finds_what_sorting_finds_over_several_tensors(
    parts: list[list[int]], share: float, sample: int
) -> None:
    tensors = [torch.tensor(part, dtype=torch.float32) for part in parts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(masks, "_SAMPLE", sample)
        assert_as_by_sorting(tensors, round(share * sum(len(part) for part in parts)))


def test_finds_it_where_the_sample_misleads(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = torch.arange(100_000.0)
    monkeypatch.setattr(masks, "_bracket", lambda scores, *, share: (10.0, 20.0))
    assert_as_by_sorting([scores], 50_000)
    assert_as_by_sorting([scores], 15)


@pytest.mark.parametrize("pruned", [-1, 11])
def test_refuses_to_prune_what_is_not_there(pruned: int) -> None:
    with pytest.raises(ValueError, match="of 10"):
        without_lowest([torch.randn(10)], pruned)


def test_searches_few_of_many_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = []
    search = masks._kth_lowest
    monkeypatch.setattr(
        masks,
        "_kth_lowest",
        lambda scores, k: searched.append(len(scores)) or search(scores, k),
    )
    scores = torch.randn(1000, 1000, generator=torch.Generator().manual_seed(3))
    without_lowest([scores], 900_000)
    assert max(searched) < 50_000
