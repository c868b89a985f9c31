from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsebench.sparsity import kth_lowest, selection

SHAPES = {
    "normal": lambda x: x,
    "heavy tails": lambda x: x / (x.abs() + 1e-4).pow(3),
    "few values": lambda x: (3 * x).round(),
    "one value": lambda x: 0 * x + 2,
    "half of them equal": lambda x: x.clamp(min=0),
    "columns apart": lambda x: x + 100 * (torch.arange(x.shape[1]) % 96),
    "in order": lambda x: x.flatten().sort().values.view_as(x),
    "infinite": lambda x: x.masked_fill(x > 0, torch.inf).masked_fill(x < -1, -torch.inf),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.9999, 1.0])
def test_finds_what_sorting_finds(shape: str, share: float) -> None:
    values = SHAPES[shape](torch.randn(300, 768, generator=torch.Generator().manual_seed(1)))
    k = max(1, int(share * values.numel()))
    assert kth_lowest([values], k) == values.flatten().sort().values[k - 1]


@given(
    parts=st.lists(st.lists(st.integers(-5, 5), min_size=1, max_size=60), min_size=1, max_size=4),
    share=st.floats(0, 1),
)
@settings(deadline=None)
def test_finds_what_sorting_finds_over_several_tensors(
    parts: list[list[int]], share: float
) -> None:
    tensors = [torch.tensor(part, dtype=torch.float32) for part in parts]
    every = sorted(value for part in parts for value in part)
    k = max(1, round(share * len(every)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "_FEW", 8)
        patch.setattr(selection, "_SAMPLE", 8)
        assert kth_lowest(tensors, k) == every[k - 1]


def test_reads_rows_whatever_the_layout() -> None:
    values = torch.randn(400, 300, generator=torch.Generator().manual_seed(2))
    assert kth_lowest([values.T], 100_000) == kth_lowest([values], 100_000)


def test_works_in_bf16() -> None:
    values = torch.randn(300, 300, generator=torch.Generator().manual_seed(2)).bfloat16()
    assert kth_lowest([values], 80_000) == values.flatten().sort().values[80_000 - 1]


@pytest.mark.parametrize("k", [0, 11])
def test_refuses_a_place_that_is_not_there(k: int) -> None:
    with pytest.raises(ValueError, match="of 10 values"):
        kth_lowest([torch.randn(10)], k)


def test_searches_few_of_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = []
    select = selection._select
    monkeypatch.setattr(
        selection, "_select", lambda values, k: searched.append(len(values)) or select(values, k)
    )
    kth_lowest([torch.randn(1000, 1000, generator=torch.Generator().manual_seed(3))], 900_000)
    assert max(searched) < 50_000
